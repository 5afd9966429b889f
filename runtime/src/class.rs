//! The classes of what is refused: one name for each, the same here, in the C API's codes, under
//! `tests/corpus/` and in `docs/threats.md`.
//!
//! A class says why; it never decides whether. Whatever is not in the one canonical form is refused
//! first and named afterwards.

/// Why something is refused. Numbers are those of the C API, and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
#[non_exhaustive]
pub enum Class {
    // --- The archive as a whole ---
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
    // --- Entries of the archive ---
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
    // --- Names of entries ---
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
    // --- manifest.json and signatures.json ---
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
    // --- Trust ---
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
    // --- Payload ---
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

impl Class {
    /// Every class, by number, with its name and what it means.
    pub const ALL: &[(Class, &str, &str)] = &[
        (Class::NotAnArchive, "not_an_archive", "the file is no ZIP archive at all"),
        (
            Class::Truncated,
            "truncated",
            "the file ends before the archive does: it was cut off, or bytes were taken out of it",
        ),
        (
            Class::Prepended,
            "prepended",
            "something stands before the archive, which some programs would run or read",
        ),
        (
            Class::Trailing,
            "trailing",
            "something stands after the archive, which some programs would read",
        ),
        (
            Class::TwoEocd,
            "two_eocd",
            "there are two end records, and programs differ in which they believe",
        ),
        (
            Class::EocdInComment,
            "eocd_in_comment",
            "the archive's comment holds an end record, which some programs believe",
        ),
        (
            Class::Zip64EocdDisagrees,
            "zip64_eocd_disagrees",
            "a ZIP64 record gives second copies of numbers, and programs differ in which they \
             believe",
        ),
        (Class::Zip64Huge, "zip64_huge", "a ZIP64 record gives sizes beyond the file"),
        (
            Class::CountWrong,
            "count_wrong",
            "the end record gives another number of entries than the directory has",
        ),
        (Class::MultiDisk, "multi_disk", "the archive says that it continues on another disk"),
        (Class::GapEntries, "gap_entries", "bytes that no entry owns stand between entries"),
        (
            Class::GapBeforeEocd,
            "gap_before_eocd",
            "bytes that no record owns stand between the directory and the end record",
        ),
        (
            Class::ArchiveComment,
            "archive_comment",
            "the archive has a comment, which nothing signs or shows",
        ),
        (
            Class::TooManyEntries,
            "too_many_entries",
            "there are more entries than the format allows",
        ),
        (Class::TooLarge, "too_large", "the file is larger than the format allows"),
        (
            Class::EntryOrder,
            "entry_order",
            "the entries are not in the one order that the format has",
        ),
        (
            Class::NoncanonicalFrame,
            "noncanonical_frame",
            "a byte between the entries' data is not the one that the format has there",
        ),
        (
            Class::DupName,
            "dup_name",
            "two entries have one name, and programs differ in which they take",
        ),
        (
            Class::LfhNameDiffers,
            "lfh_name_differs",
            "an entry's own header and the directory give it different names",
        ),
        (
            Class::LfhSizeDiffers,
            "lfh_size_differs",
            "an entry's own header and the directory give it different sizes",
        ),
        (
            Class::LfhCrcDiffers,
            "lfh_crc_differs",
            "an entry's own header and the directory give it different checksums",
        ),
        (
            Class::LfhMethodDiffers,
            "lfh_method_differs",
            "an entry's own header and the directory give it different compressions",
        ),
        (
            Class::DescriptorLies,
            "descriptor_lies",
            "an entry's sizes stand after its data, where they can lie",
        ),
        (Class::EncryptedFlag, "encrypted_flag", "an entry is encrypted, or says so"),
        (Class::BadMethod, "bad_method", "an entry is compressed"),
        (
            Class::DeflateTrailing,
            "deflate_trailing",
            "a compressed entry has bytes after the end of its stream",
        ),
        (Class::OverlapFull, "overlap_full", "two entries are one and the same bytes"),
        (
            Class::OverlapQuoted,
            "overlap_quoted",
            "an entry's data holds the header of the next one",
        ),
        (Class::OverlapCd, "overlap_cd", "an entry's data reaches into the directory"),
        (Class::BombRatio, "bomb_ratio", "a compressed entry would grow more than a hundredfold"),
        (Class::SizeLies, "size_lies", "an entry that is not compressed gives two different sizes"),
        (Class::BadCrc, "bad_crc", "an entry's checksum is not that of its data"),
        (
            Class::UnicodePathExtra,
            "unicode_path_extra",
            "an extra field gives an entry a second name",
        ),
        (
            Class::EntryComment,
            "entry_comment",
            "an entry has a comment, which nothing signs or shows",
        ),
        (Class::Dotdot, "dotdot", "a name climbs out of its folder"),
        (Class::Absolute, "absolute", "a name begins at the root of the file system"),
        (Class::Backslash, "backslash", "a name has a backslash, a separator on some systems only"),
        (Class::DriveLetter, "drive_letter", "a name begins with a drive"),
        (Class::Nul, "nul", "a name has a NUL, where C programs end it"),
        (Class::EmptyName, "empty_name", "a name is empty"),
        (Class::DotSegment, "dot_segment", "a part of a name begins with a dot"),
        (Class::DoubleSlash, "double_slash", "a part of a name is empty"),
        (
            Class::CaseTwin,
            "case_twin",
            "two names differ in case alone and are one on some systems",
        ),
        (
            Class::NfcNfdTwin,
            "nfc_nfd_twin",
            "two names differ in their spelling of accents alone and are one on some systems",
        ),
        (Class::BadUtf8, "bad_utf8", "a name is not UTF-8"),
        (Class::WinReserved, "win_reserved", "a name is a device on Windows"),
        (
            Class::AdsStream,
            "ads_stream",
            "a name has a colon, which hides a second stream on Windows",
        ),
        (Class::LongName, "long_name", "a name is longer than the format allows"),
        (Class::Symlink, "symlink", "an entry is a symbolic link"),
        (Class::DirWithData, "dir_with_data", "an entry is a folder, and has data"),
        (Class::DirEntry, "dir_entry", "an entry is a folder"),
        (Class::BadName, "bad_name", "a name has a character that the format does not allow"),
        (
            Class::DupJsonKey,
            "dup_json_key",
            "a key stands twice, and programs differ in which they take",
        ),
        (
            Class::UnknownField,
            "unknown_field",
            "a key is unknown, so it may mean something that is not done here",
        ),
        (
            Class::UnknownFormatVersion,
            "unknown_format_version",
            "the format, or its version, is not one that is read here",
        ),
        (Class::DeepJson, "deep_json", "values are nested deeper than the format allows"),
        (Class::NotUtf8, "not_utf8", "the text is not UTF-8"),
        (
            Class::Noncanonical,
            "noncanonical",
            "the same content has other bytes than RFC 8785 gives it",
        ),
        (Class::MissingEntry, "missing_entry", "an entry that must be there is not"),
        (Class::ExtraEntry, "extra_entry", "an entry is there that the manifest does not name"),
        (Class::HashMismatch, "hash_mismatch", "an entry's bytes are not those that were signed"),
        (
            Class::LengthMismatch,
            "length_mismatch",
            "an entry is longer or shorter than what was signed",
        ),
        (Class::TypeConfusion, "type_confusion", "it was signed as another kind of document"),
        (
            Class::MixedBundles,
            "mixed_bundles",
            "manifest.json and signatures.json do not belong together: one was changed, or they \
             come from two bundles",
        ),
        (Class::BadJson, "bad_json", "it is not JSON of the form that the format has"),
        (Class::JsonTooLarge, "json_too_large", "it is longer than the format allows"),
        (
            Class::Contradiction,
            "contradiction",
            "the manifest contradicts itself, or a value is out of range",
        ),
        (Class::Unsigned, "unsigned", "nobody has signed it"),
        (Class::WrongKey, "wrong_key", "no key that is trusted for this has signed it"),
        (Class::RevokedKey, "revoked_key", "a key that signed it was revoked"),
        (
            Class::WeakKey,
            "weak_key",
            "a key is of small order: one signature by it fits any message",
        ),
        (
            Class::SmallOrderR,
            "small_order_r",
            "a signature's first half is of small order, which no signer makes",
        ),
        (
            Class::NoncanonicalA,
            "noncanonical_a",
            "a key is in another spelling than the one that RFC 8032 gives it",
        ),
        (
            Class::SPlusL,
            "s_plus_l",
            "a signature's second half is not reduced: it is a copy that somebody made without the \
             key",
        ),
        (Class::BadLength, "bad_length", "a key or signature has the wrong length"),
        (
            Class::DupSignatureThreshold,
            "dup_signature_threshold",
            "one key stands twice among the signatures, as if two had signed",
        ),
        (
            Class::SameKeyTwoIds,
            "same_key_two_ids",
            "one key stands in the trust file under two names, as if it were two",
        ),
        (Class::KeyidLies, "keyid_lies", "the trust file gives a key an id that is not its own"),
        (
            Class::Rollback,
            "rollback",
            "an older version than the newest that this device, or the trust file, knows",
        ),
        (
            Class::FastForward,
            "fast_forward",
            "a version so far ahead that every later release would be refused",
        ),
        (
            Class::Expired,
            "expired",
            "the trust file, or a key that signed, is not valid at this time",
        ),
        (
            Class::ClockBackwards,
            "clock_backwards",
            "the clock shows an earlier time than it did before",
        ),
        (
            Class::RejectedStateCached,
            "rejected_state_cached",
            "the state file holds what no accepted bundle left there",
        ),
        (
            Class::RootVersionSkip,
            "root_version_skip",
            "a new trust file does not follow the one before it",
        ),
        (
            Class::TrustRotationUnsigned,
            "trust_rotation_unsigned",
            "a new trust file is not signed by enough keys of the one before it",
        ),
        (
            Class::BelowThreshold,
            "below_threshold",
            "some trusted keys have signed, and fewer than must",
        ),
        (
            Class::TooManySignatures,
            "too_many_signatures",
            "there are more signatures than the format allows",
        ),
        (
            Class::BadSignatures,
            "bad_signatures",
            "the list of signatures is not one that a signer makes",
        ),
        (Class::RevokedBundle, "revoked_bundle", "this very bundle was revoked"),
        (Class::BadTrustFile, "bad_trust_file", "the trust file is not one that can be used"),
        (Class::StOverlap, "st_overlap", "two tensors of a file share bytes"),
        (Class::StHole, "st_hole", "bytes of a tensor file belong to no tensor"),
        (Class::StTrailing, "st_trailing", "bytes follow the last tensor of a file"),
        (
            Class::StDupKey,
            "st_dup_key",
            "a tensor file has a key twice, and libraries take the last",
        ),
        (
            Class::StShapeOverflow,
            "st_shape_overflow",
            "a shape is beyond the address space, or does not fit its bytes",
        ),
        (
            Class::StHugeHeader,
            "st_huge_header",
            "a tensor file's header is longer than the file or than is safe",
        ),
        (
            Class::NanWeight,
            "nan_weight",
            "a value is not a number, and would spread to every result",
        ),
        (Class::InfWeight, "inf_weight", "a value is infinite, and would spread to every result"),
        (Class::ModuleWrongBase, "module_wrong_base", "a module is for another base"),
        (
            Class::ModuleWrongShape,
            "module_wrong_shape",
            "tensors do not have the shapes that the base and the manifest give them",
        ),
        (
            Class::ModuleUnknownSite,
            "module_unknown_site",
            "a module changes a layer that the base does not have",
        ),
        (Class::OnnxMalformed, "onnx_malformed", "the graph cannot be read"),
        (
            Class::OnnxExternalDataPath,
            "onnx_external_data_path",
            "the graph names another file to read weights from",
        ),
        (
            Class::GoldenMismatch,
            "golden_mismatch",
            "this device computes something else than the maker of the bundle did",
        ),
        (Class::StMalformed, "st_malformed", "a tensor file is damaged, or not one at all"),
        (Class::StUnusable, "st_unusable", "a tensor is of a type or shape that is not read here"),
        (Class::OnnxRefused, "onnx_refused", "the graph is not one that a base needs"),
        (Class::TensorsMisfit, "tensors_misfit", "tensors are missing or left over"),
        (Class::TooCostly, "too_costly", "it would take more memory or work than is allowed here"),
    ];

    /// The name, in lower case with underscores.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// What it means, as the middle of a sentence.
    pub fn meaning(self) -> &'static str {
        self.row().2
    }

    fn row(self) -> &'static (Class, &'static str, &'static str) {
        Class::ALL.iter().find(|(class, _, _)| *class == self).expect("the table has every class")
    }
}

impl std::fmt::Display for Class {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `Class::ALL` has every variant: the numbers and names of this file's own enum are read from
    /// its text.
    #[test]
    fn the_table_has_every_class_under_its_own_name() {
        let source = include_str!("class.rs");
        let (_, body) = source.split_once("pub enum Class {").unwrap();
        let (body, _) = body.split_once("\n}").unwrap();
        let variants =
            body.lines().filter_map(|line| line.trim().strip_suffix(',')?.split_once(" = "));
        let snake = |name: &str| {
            let mut out = String::new();
            for c in name.chars() {
                if c.is_ascii_uppercase() && !out.is_empty() {
                    out.push('_');
                }
                out.push(c.to_ascii_lowercase());
            }
            out
        };
        let declared: Vec<_> =
            variants.map(|(name, number)| (number.parse::<u16>().unwrap(), snake(name))).collect();
        let listed: Vec<_> =
            Class::ALL.iter().map(|(class, name, _)| (*class as u16, (*name).to_owned())).collect();
        assert_eq!(declared, listed);
        assert!(listed.len() >= 90);
    }
}
