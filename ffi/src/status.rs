//! Result codes: one per cause, numbers that never change.

use std::ffi::{CStr, c_char};

use medforge_runtime::{Class, Error};

/// What a function came to. Numbers are never reused: 1 to 19 the call, 50 to 59 the device and the
/// question asked, 100 and up what was refused: those are the classes of the format's
/// documentation, under the same names.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Done.
    Ok = 0,
    /// A pointer is NULL that must not be.
    NullPointer = 1,
    /// A string is not UTF-8.
    StringNotUtf8 = 2,
    /// A file cannot be read.
    Io = 3,
    /// A fault in the library itself; please report it.
    Panic = 4,
    /// An index past the end.
    OutOfRange = 5,
    /// The caller's buffer is too small for the result.
    BufferTooSmall = 6,
    /// An error that has no code of its own in this version.
    Other = 7,
    /// Width, height, stride and pointer do not make an image.
    Pixels = 9,
    /// The image cannot be brought to the size that the bundle asks for.
    Preprocessing = 10,
    /// An image file does not decode.
    Image = 11,
    /// A DICOM file is not read here: its transfer syntax, or what its pixels are.
    DicomUnsupported = 12,
    /// The classifier was opened by the process that this one was forked from.
    OtherProcess = 13,
    /// The computation failed.
    Device = 51,
    /// The bundle has no such task.
    UnknownTask = 52,
    /// The bundle has several tasks and none was named.
    TaskNeeded = 53,
    /// No such module is loaded.
    UnknownModule = 54,
    /// A selection of modules that cannot be run.
    Selection = 55,
    /// A change of what a classifier runs with that was not made.
    Unchanged = 56,
    /// The call was cancelled, or its deadline passed.
    Cancelled = 57,
    /// The bundle does not run in as many bits as it was asked to.
    Precision = 58,
    /// The system has less memory than is needed.
    Memory = 59,

    /// The file is no ZIP archive at all.
    NotAnArchive = 100,
    /// The file ends before the archive does: it was cut off, or bytes were taken out of it.
    Truncated = 101,
    /// Something stands before the archive, which some programs would run or read.
    Prepended = 102,
    /// Something stands after the archive, which some programs would read.
    Trailing = 103,
    /// There are two end records, and programs differ in which they believe.
    TwoEocd = 104,
    /// The archive's comment holds an end record, which some programs believe.
    EocdInComment = 105,
    /// A ZIP64 record gives second copies of numbers, and programs differ in which they believe.
    Zip64EocdDisagrees = 106,
    /// A ZIP64 record gives sizes beyond the file.
    Zip64Huge = 107,
    /// The end record gives another number of entries than the directory has.
    CountWrong = 108,
    /// The archive says that it continues on another disk.
    MultiDisk = 109,
    /// Bytes that no entry owns stand between entries.
    GapEntries = 110,
    /// Bytes that no record owns stand between the directory and the end record.
    GapBeforeEocd = 111,
    /// The archive has a comment, which nothing signs or shows.
    ArchiveComment = 112,
    /// There are more entries than the format allows.
    TooManyEntries = 113,
    /// The file is larger than the format allows.
    TooLarge = 114,
    /// The entries are not in the one order that the format has.
    EntryOrder = 115,
    /// A byte between the entries' data is not the one that the format has there.
    NoncanonicalFrame = 116,

    /// Two entries have one name, and programs differ in which they take.
    DupName = 130,
    /// An entry's own header and the directory give it different names.
    LfhNameDiffers = 131,
    /// An entry's own header and the directory give it different sizes.
    LfhSizeDiffers = 132,
    /// An entry's own header and the directory give it different checksums.
    LfhCrcDiffers = 133,
    /// An entry's own header and the directory give it different compressions.
    LfhMethodDiffers = 134,
    /// An entry's sizes stand after its data, where they can lie.
    DescriptorLies = 135,
    /// An entry is encrypted, or says so.
    EncryptedFlag = 136,
    /// An entry is compressed.
    BadMethod = 137,
    /// A compressed entry has bytes after the end of its stream.
    DeflateTrailing = 138,
    /// Two entries are one and the same bytes.
    OverlapFull = 139,
    /// An entry's data holds the header of the next one.
    OverlapQuoted = 140,
    /// An entry's data reaches into the directory.
    OverlapCd = 141,
    /// A compressed entry would grow more than a hundredfold.
    BombRatio = 142,
    /// An entry that is not compressed gives two different sizes.
    SizeLies = 143,
    /// An entry's checksum is not that of its data.
    BadCrc = 144,
    /// An extra field gives an entry a second name.
    UnicodePathExtra = 145,
    /// An entry has a comment, which nothing signs or shows.
    EntryComment = 146,

    /// A name climbs out of its folder.
    Dotdot = 160,
    /// A name begins at the root of the file system.
    Absolute = 161,
    /// A name has a backslash, a separator on some systems only.
    Backslash = 162,
    /// A name begins with a drive.
    DriveLetter = 163,
    /// A name has a NUL, where C programs end it.
    Nul = 164,
    /// A name is empty.
    EmptyName = 165,
    /// A part of a name begins with a dot.
    DotSegment = 166,
    /// A part of a name is empty.
    DoubleSlash = 167,
    /// Two names differ in case alone and are one on some systems.
    CaseTwin = 168,
    /// Two names differ in their spelling of accents alone and are one on some systems.
    NfcNfdTwin = 169,
    /// A name is not UTF-8.
    BadUtf8 = 170,
    /// A name is a device on Windows.
    WinReserved = 171,
    /// A name has a colon, which hides a second stream on Windows.
    AdsStream = 172,
    /// A name is longer than the format allows.
    LongName = 173,
    /// An entry is a symbolic link.
    Symlink = 174,
    /// An entry is a folder, and has data.
    DirWithData = 175,
    /// An entry is a folder.
    DirEntry = 176,
    /// A name has a character that the format does not allow.
    BadName = 177,

    /// A key stands twice, and programs differ in which they take.
    DupJsonKey = 190,
    /// A key is unknown, so it may mean something that is not done here.
    UnknownField = 191,
    /// The format, or its version, is not one that is read here.
    UnknownFormatVersion = 192,
    /// Values are nested deeper than the format allows.
    DeepJson = 193,
    /// The text is not UTF-8.
    NotUtf8 = 194,
    /// The same content has other bytes than RFC 8785 gives it.
    Noncanonical = 195,
    /// An entry that must be there is not.
    MissingEntry = 196,
    /// An entry is there that the manifest does not name.
    ExtraEntry = 197,
    /// An entry's bytes are not those that were signed.
    HashMismatch = 198,
    /// An entry is longer or shorter than what was signed.
    LengthMismatch = 199,
    /// It was signed as another kind of document.
    TypeConfusion = 200,
    /// Manifest.json and signatures.json do not belong together: one was changed, or they come from
    /// two bundles.
    MixedBundles = 201,
    /// It is not JSON of the form that the format has.
    BadJson = 202,
    /// It is longer than the format allows.
    JsonTooLarge = 203,
    /// The manifest contradicts itself, or a value is out of range.
    Contradiction = 204,

    /// Nobody has signed it.
    Unsigned = 220,
    /// No key that is trusted for this has signed it.
    WrongKey = 221,
    /// A key that signed it was revoked.
    RevokedKey = 222,
    /// A key is of small order: one signature by it fits any message.
    WeakKey = 223,
    /// A signature's first half is of small order, which no signer makes.
    SmallOrderR = 224,
    /// A key is in another spelling than the one that RFC 8032 gives it.
    NoncanonicalA = 225,
    /// A signature's second half is not reduced: it is a copy that somebody made without the key.
    SPlusL = 226,
    /// A key or signature has the wrong length.
    BadLength = 227,
    /// One key stands twice among the signatures, as if two had signed.
    DupSignatureThreshold = 228,
    /// One key stands in the trust file under two names, as if it were two.
    SameKeyTwoIds = 229,
    /// The trust file gives a key an id that is not its own.
    KeyidLies = 230,
    /// An older version than the newest that this device, or the trust file, knows.
    Rollback = 231,
    /// A version so far ahead that every later release would be refused.
    FastForward = 232,
    /// The trust file, or a key that signed, is not valid at this time.
    Expired = 233,
    /// The clock shows an earlier time than it did before.
    ClockBackwards = 234,
    /// The state file holds what no accepted bundle left there.
    RejectedStateCached = 235,
    /// A new trust file does not follow the one before it.
    RootVersionSkip = 236,
    /// A new trust file is not signed by enough keys of the one before it.
    TrustRotationUnsigned = 237,
    /// Some trusted keys have signed, and fewer than must.
    BelowThreshold = 238,
    /// There are more signatures than the format allows.
    TooManySignatures = 239,
    /// The list of signatures is not one that a signer makes.
    BadSignatures = 240,
    /// This very bundle was revoked.
    RevokedBundle = 241,
    /// The trust file is not one that can be used.
    BadTrustFile = 242,

    /// Two tensors of a file share bytes.
    StOverlap = 260,
    /// Bytes of a tensor file belong to no tensor.
    StHole = 261,
    /// Bytes follow the last tensor of a file.
    StTrailing = 262,
    /// A tensor file has a key twice, and libraries take the last.
    StDupKey = 263,
    /// A shape is beyond the address space, or does not fit its bytes.
    StShapeOverflow = 264,
    /// A tensor file's header is longer than the file or than is safe.
    StHugeHeader = 265,
    /// A value is not a number, and would spread to every result.
    NanWeight = 266,
    /// A value is infinite, and would spread to every result.
    InfWeight = 267,
    /// A module is for another base.
    ModuleWrongBase = 268,
    /// Tensors do not have the shapes that the base and the manifest give them.
    ModuleWrongShape = 269,
    /// A module changes a layer that the base does not have.
    ModuleUnknownSite = 270,
    /// The graph cannot be read.
    OnnxMalformed = 271,
    /// The graph names another file to read weights from.
    OnnxExternalDataPath = 272,
    /// This device computes something else than the maker of the bundle did.
    GoldenMismatch = 273,
    /// A tensor file is damaged, or not one at all.
    StMalformed = 274,
    /// A tensor is of a type or shape that is not read here.
    StUnusable = 275,
    /// The graph is not one that a base needs.
    OnnxRefused = 276,
    /// Tensors are missing or left over.
    TensorsMisfit = 277,
    /// It would take more memory or work than is allowed here.
    TooCostly = 278,
}

impl Status {
    const ALL: &[(Status, &CStr)] = &[
        (Status::Ok, c"OK"),
        (Status::NullPointer, c"NULL_POINTER"),
        (Status::StringNotUtf8, c"STRING_NOT_UTF8"),
        (Status::Io, c"IO"),
        (Status::Panic, c"PANIC"),
        (Status::OutOfRange, c"OUT_OF_RANGE"),
        (Status::BufferTooSmall, c"BUFFER_TOO_SMALL"),
        (Status::Other, c"OTHER"),
        (Status::Pixels, c"PIXELS"),
        (Status::Preprocessing, c"PREPROCESSING"),
        (Status::Image, c"IMAGE"),
        (Status::DicomUnsupported, c"DICOM_UNSUPPORTED"),
        (Status::OtherProcess, c"OTHER_PROCESS"),
        (Status::Device, c"DEVICE"),
        (Status::UnknownTask, c"UNKNOWN_TASK"),
        (Status::TaskNeeded, c"TASK_NEEDED"),
        (Status::UnknownModule, c"UNKNOWN_MODULE"),
        (Status::Selection, c"SELECTION"),
        (Status::Unchanged, c"UNCHANGED"),
        (Status::Cancelled, c"CANCELLED"),
        (Status::Memory, c"MEMORY"),
        (Status::Precision, c"PRECISION"),
        (Status::NotAnArchive, c"NOT_AN_ARCHIVE"),
        (Status::Truncated, c"TRUNCATED"),
        (Status::Prepended, c"PREPENDED"),
        (Status::Trailing, c"TRAILING"),
        (Status::TwoEocd, c"TWO_EOCD"),
        (Status::EocdInComment, c"EOCD_IN_COMMENT"),
        (Status::Zip64EocdDisagrees, c"ZIP64_EOCD_DISAGREES"),
        (Status::Zip64Huge, c"ZIP64_HUGE"),
        (Status::CountWrong, c"COUNT_WRONG"),
        (Status::MultiDisk, c"MULTI_DISK"),
        (Status::GapEntries, c"GAP_ENTRIES"),
        (Status::GapBeforeEocd, c"GAP_BEFORE_EOCD"),
        (Status::ArchiveComment, c"ARCHIVE_COMMENT"),
        (Status::TooManyEntries, c"TOO_MANY_ENTRIES"),
        (Status::TooLarge, c"TOO_LARGE"),
        (Status::EntryOrder, c"ENTRY_ORDER"),
        (Status::NoncanonicalFrame, c"NONCANONICAL_FRAME"),
        (Status::DupName, c"DUP_NAME"),
        (Status::LfhNameDiffers, c"LFH_NAME_DIFFERS"),
        (Status::LfhSizeDiffers, c"LFH_SIZE_DIFFERS"),
        (Status::LfhCrcDiffers, c"LFH_CRC_DIFFERS"),
        (Status::LfhMethodDiffers, c"LFH_METHOD_DIFFERS"),
        (Status::DescriptorLies, c"DESCRIPTOR_LIES"),
        (Status::EncryptedFlag, c"ENCRYPTED_FLAG"),
        (Status::BadMethod, c"BAD_METHOD"),
        (Status::DeflateTrailing, c"DEFLATE_TRAILING"),
        (Status::OverlapFull, c"OVERLAP_FULL"),
        (Status::OverlapQuoted, c"OVERLAP_QUOTED"),
        (Status::OverlapCd, c"OVERLAP_CD"),
        (Status::BombRatio, c"BOMB_RATIO"),
        (Status::SizeLies, c"SIZE_LIES"),
        (Status::BadCrc, c"BAD_CRC"),
        (Status::UnicodePathExtra, c"UNICODE_PATH_EXTRA"),
        (Status::EntryComment, c"ENTRY_COMMENT"),
        (Status::Dotdot, c"DOTDOT"),
        (Status::Absolute, c"ABSOLUTE"),
        (Status::Backslash, c"BACKSLASH"),
        (Status::DriveLetter, c"DRIVE_LETTER"),
        (Status::Nul, c"NUL"),
        (Status::EmptyName, c"EMPTY_NAME"),
        (Status::DotSegment, c"DOT_SEGMENT"),
        (Status::DoubleSlash, c"DOUBLE_SLASH"),
        (Status::CaseTwin, c"CASE_TWIN"),
        (Status::NfcNfdTwin, c"NFC_NFD_TWIN"),
        (Status::BadUtf8, c"BAD_UTF8"),
        (Status::WinReserved, c"WIN_RESERVED"),
        (Status::AdsStream, c"ADS_STREAM"),
        (Status::LongName, c"LONG_NAME"),
        (Status::Symlink, c"SYMLINK"),
        (Status::DirWithData, c"DIR_WITH_DATA"),
        (Status::DirEntry, c"DIR_ENTRY"),
        (Status::BadName, c"BAD_NAME"),
        (Status::DupJsonKey, c"DUP_JSON_KEY"),
        (Status::UnknownField, c"UNKNOWN_FIELD"),
        (Status::UnknownFormatVersion, c"UNKNOWN_FORMAT_VERSION"),
        (Status::DeepJson, c"DEEP_JSON"),
        (Status::NotUtf8, c"NOT_UTF8"),
        (Status::Noncanonical, c"NONCANONICAL"),
        (Status::MissingEntry, c"MISSING_ENTRY"),
        (Status::ExtraEntry, c"EXTRA_ENTRY"),
        (Status::HashMismatch, c"HASH_MISMATCH"),
        (Status::LengthMismatch, c"LENGTH_MISMATCH"),
        (Status::TypeConfusion, c"TYPE_CONFUSION"),
        (Status::MixedBundles, c"MIXED_BUNDLES"),
        (Status::BadJson, c"BAD_JSON"),
        (Status::JsonTooLarge, c"JSON_TOO_LARGE"),
        (Status::Contradiction, c"CONTRADICTION"),
        (Status::Unsigned, c"UNSIGNED"),
        (Status::WrongKey, c"WRONG_KEY"),
        (Status::RevokedKey, c"REVOKED_KEY"),
        (Status::WeakKey, c"WEAK_KEY"),
        (Status::SmallOrderR, c"SMALL_ORDER_R"),
        (Status::NoncanonicalA, c"NONCANONICAL_A"),
        (Status::SPlusL, c"S_PLUS_L"),
        (Status::BadLength, c"BAD_LENGTH"),
        (Status::DupSignatureThreshold, c"DUP_SIGNATURE_THRESHOLD"),
        (Status::SameKeyTwoIds, c"SAME_KEY_TWO_IDS"),
        (Status::KeyidLies, c"KEYID_LIES"),
        (Status::Rollback, c"ROLLBACK"),
        (Status::FastForward, c"FAST_FORWARD"),
        (Status::Expired, c"EXPIRED"),
        (Status::ClockBackwards, c"CLOCK_BACKWARDS"),
        (Status::RejectedStateCached, c"REJECTED_STATE_CACHED"),
        (Status::RootVersionSkip, c"ROOT_VERSION_SKIP"),
        (Status::TrustRotationUnsigned, c"TRUST_ROTATION_UNSIGNED"),
        (Status::BelowThreshold, c"BELOW_THRESHOLD"),
        (Status::TooManySignatures, c"TOO_MANY_SIGNATURES"),
        (Status::BadSignatures, c"BAD_SIGNATURES"),
        (Status::RevokedBundle, c"REVOKED_BUNDLE"),
        (Status::BadTrustFile, c"BAD_TRUST_FILE"),
        (Status::StOverlap, c"ST_OVERLAP"),
        (Status::StHole, c"ST_HOLE"),
        (Status::StTrailing, c"ST_TRAILING"),
        (Status::StDupKey, c"ST_DUP_KEY"),
        (Status::StShapeOverflow, c"ST_SHAPE_OVERFLOW"),
        (Status::StHugeHeader, c"ST_HUGE_HEADER"),
        (Status::NanWeight, c"NAN_WEIGHT"),
        (Status::InfWeight, c"INF_WEIGHT"),
        (Status::ModuleWrongBase, c"MODULE_WRONG_BASE"),
        (Status::ModuleWrongShape, c"MODULE_WRONG_SHAPE"),
        (Status::ModuleUnknownSite, c"MODULE_UNKNOWN_SITE"),
        (Status::OnnxMalformed, c"ONNX_MALFORMED"),
        (Status::OnnxExternalDataPath, c"ONNX_EXTERNAL_DATA_PATH"),
        (Status::GoldenMismatch, c"GOLDEN_MISMATCH"),
        (Status::StMalformed, c"ST_MALFORMED"),
        (Status::StUnusable, c"ST_UNUSABLE"),
        (Status::OnnxRefused, c"ONNX_REFUSED"),
        (Status::TensorsMisfit, c"TENSORS_MISFIT"),
        (Status::TooCostly, c"TOO_COSTLY"),
    ];

    /// Its name, such as "WRONG_KEY".
    pub fn name(self) -> &'static str {
        let found = Status::ALL.iter().find(|(status, _)| *status == self);
        found.and_then(|(_, name)| name.to_str().ok()).unwrap_or("UNKNOWN")
    }

    /// The code of a class: the same number.
    pub fn of(class: Class) -> Status {
        Status::ALL
            .iter()
            .find(|(status, _)| *status as u32 == u32::from(class as u16))
            .map_or(Status::Other, |(s, _)| *s)
    }
}

impl From<&Error> for Status {
    fn from(error: &Error) -> Status {
        match error {
            Error::Image { .. } => Status::Image,
            Error::DicomUnsupported { .. } => Status::DicomUnsupported,
            Error::Pixels { .. } => Status::Pixels,
            Error::Preprocessing { .. } => Status::Preprocessing,
            Error::OtherProcess { .. } => Status::OtherProcess,
            Error::Device { .. } => Status::Device,
            Error::UnknownTask { .. } => Status::UnknownTask,
            Error::TaskNeeded { .. } => Status::TaskNeeded,
            Error::UnknownModule { .. } => Status::UnknownModule,
            Error::Selection { .. } => Status::Selection,
            Error::Unchanged { .. } => Status::Unchanged,
            Error::Cancelled => Status::Cancelled,
            Error::Memory { .. } => Status::Memory,
            Error::Precision { .. } => Status::Precision,
            Error::InBatch { source, .. } => Status::from(&**source),
            other => other.class().map_or(Status::Other, Status::of),
        }
    }
}

/// The name of a result, such as "WRONG_KEY"; "UNKNOWN" for a number that is none. Never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn medforge_result_name(result: u32) -> *const c_char {
    let found = Status::ALL.iter().find(|(status, _)| *status as u32 == result);
    found.map_or(c"UNKNOWN", |(_, name)| name).as_ptr()
}

/// The first number of the version: changes when programs must be changed.
pub const MEDFORGE_VERSION_MAJOR: u32 = 0;
/// The second number: changes when something is added.
pub const MEDFORGE_VERSION_MINOR: u32 = 1;
/// The third number: changes when something is mended.
pub const MEDFORGE_VERSION_PATCH: u32 = 0;

/// The version of the library, such as "0.1.0". Never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn medforge_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_its_code_under_its_name() {
        for (class, name, _) in Class::ALL {
            let status = Status::of(*class);
            assert_eq!(status as u32, u32::from(*class as u16), "{name}");
            let (_, found) = Status::ALL.iter().find(|(s, _)| *s == status).unwrap();
            assert_eq!(found.to_str().unwrap(), name.to_uppercase());
        }
    }
}
