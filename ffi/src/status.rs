//! Result codes: one per cause, numbers that never change.

use std::ffi::{CStr, c_char};

use medforge_runtime::Error;

/// What a function came to. Numbers are never reused: 1 to 19 the call, 20 to 49 a refused bundle, 50 and up the device
/// and the question asked.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Done.
    Ok = 0,
    /// A pointer is NULL that must not be.
    NullPointer = 1,
    /// A string is not UTF-8.
    NotUtf8 = 2,
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
    /// The trusted key cannot be used.
    Trust = 8,
    /// Width, height, stride and pointer do not make an image.
    Pixels = 9,
    /// The image cannot be brought to the size that the bundle asks for.
    Preprocessing = 10,
    /// An image file does not decode.
    Image = 11,

    /// Not a bundle, cut off or added to.
    NotABundle = 20,
    /// Larger than the format allows.
    BundleLimit = 21,
    /// The archive is not in its canonical form.
    BundleFrame = 22,
    /// An entry's name is not allowed.
    BundleName = 23,
    /// An entry is missing.
    BundleEntryMissing = 24,
    /// An entry is not in the manifest.
    BundleEntryUnlisted = 25,
    /// An entry's length is not the signed one.
    BundleEntryLength = 26,
    /// An entry's bytes are not the signed ones.
    BundleEntryDigest = 27,
    /// An entry is as signed but cannot be used.
    BundleEntryContent = 28,
    /// Another version of the format.
    ManifestVersion = 29,
    /// JSON of another form than expected.
    BundleJson = 30,
    /// JSON that is not canonical.
    BundleJsonNotCanonical = 31,
    /// The manifest contradicts itself.
    Manifest = 32,
    /// A signature does not match.
    SignatureInvalid = 33,
    /// The list of signatures is not one that a signer makes.
    Signatures = 34,
    /// Too few trusted keys have signed.
    NotTrusted = 35,
    /// The graph is not one that runs here.
    Graph = 36,
    /// Tensors do not fit the graph or the manifest.
    Misfit = 37,
    /// A tensor file cannot be read.
    TensorFile = 38,
    /// A tensor cannot be used.
    Tensor = 39,

    /// This device computes something else than the maker of the bundle did; do not use it.
    GoldenMismatch = 50,
    /// The computation failed.
    Device = 51,
    /// The bundle has no such task.
    UnknownTask = 52,
    /// The bundle has several tasks and none was named.
    TaskNeeded = 53,
}

impl Status {
    const ALL: [(Status, &CStr); 36] = [
        (Status::Ok, c"OK"),
        (Status::NullPointer, c"NULL_POINTER"),
        (Status::NotUtf8, c"NOT_UTF8"),
        (Status::Io, c"IO"),
        (Status::Panic, c"PANIC"),
        (Status::OutOfRange, c"OUT_OF_RANGE"),
        (Status::BufferTooSmall, c"BUFFER_TOO_SMALL"),
        (Status::Other, c"OTHER"),
        (Status::Trust, c"TRUST"),
        (Status::Pixels, c"PIXELS"),
        (Status::Preprocessing, c"PREPROCESSING"),
        (Status::Image, c"IMAGE"),
        (Status::NotABundle, c"NOT_A_BUNDLE"),
        (Status::BundleLimit, c"BUNDLE_LIMIT"),
        (Status::BundleFrame, c"BUNDLE_FRAME"),
        (Status::BundleName, c"BUNDLE_NAME"),
        (Status::BundleEntryMissing, c"BUNDLE_ENTRY_MISSING"),
        (Status::BundleEntryUnlisted, c"BUNDLE_ENTRY_UNLISTED"),
        (Status::BundleEntryLength, c"BUNDLE_ENTRY_LENGTH"),
        (Status::BundleEntryDigest, c"BUNDLE_ENTRY_DIGEST"),
        (Status::BundleEntryContent, c"BUNDLE_ENTRY_CONTENT"),
        (Status::ManifestVersion, c"MANIFEST_VERSION"),
        (Status::BundleJson, c"BUNDLE_JSON"),
        (Status::BundleJsonNotCanonical, c"BUNDLE_JSON_NOT_CANONICAL"),
        (Status::Manifest, c"MANIFEST"),
        (Status::SignatureInvalid, c"SIGNATURE_INVALID"),
        (Status::Signatures, c"SIGNATURES"),
        (Status::NotTrusted, c"NOT_TRUSTED"),
        (Status::Graph, c"GRAPH"),
        (Status::Misfit, c"MISFIT"),
        (Status::TensorFile, c"TENSOR_FILE"),
        (Status::Tensor, c"TENSOR"),
        (Status::GoldenMismatch, c"GOLDEN_MISMATCH"),
        (Status::Device, c"DEVICE"),
        (Status::UnknownTask, c"UNKNOWN_TASK"),
        (Status::TaskNeeded, c"TASK_NEEDED"),
    ];
}

impl From<&Error> for Status {
    fn from(error: &Error) -> Status {
        match error {
            Error::TensorFile { .. } => Status::TensorFile,
            Error::Tensor { .. } => Status::Tensor,
            Error::Image { .. } => Status::Image,
            Error::Pixels { .. } => Status::Pixels,
            Error::Preprocessing { .. } => Status::Preprocessing,
            Error::NotABundle { .. } => Status::NotABundle,
            Error::BundleLimit { .. } => Status::BundleLimit,
            Error::BundleFrame { .. } => Status::BundleFrame,
            Error::BundleName { .. } => Status::BundleName,
            Error::BundleEntryMissing { .. } => Status::BundleEntryMissing,
            Error::BundleEntryUnlisted { .. } => Status::BundleEntryUnlisted,
            Error::BundleEntryLength { .. } => Status::BundleEntryLength,
            Error::BundleEntryDigest { .. } => Status::BundleEntryDigest,
            Error::BundleEntryContent { .. } => Status::BundleEntryContent,
            Error::ManifestVersion { .. } => Status::ManifestVersion,
            Error::BundleJson { .. } => Status::BundleJson,
            Error::BundleJsonNotCanonical { .. } => Status::BundleJsonNotCanonical,
            Error::Manifest { .. } => Status::Manifest,
            Error::SignatureInvalid { .. } => Status::SignatureInvalid,
            Error::Signatures { .. } => Status::Signatures,
            Error::NotTrusted { .. } => Status::NotTrusted,
            Error::Trust { .. } => Status::Trust,
            Error::Graph { .. } => Status::Graph,
            Error::Misfit { .. } => Status::Misfit,
            Error::GoldenMismatch { .. } => Status::GoldenMismatch,
            Error::Device { .. } => Status::Device,
            Error::UnknownTask { .. } => Status::UnknownTask,
            Error::TaskNeeded { .. } => Status::TaskNeeded,
            Error::InBatch { source, .. } => Status::from(&**source),
            _ => Status::Other,
        }
    }
}

/// The name of a result, such as "NOT_TRUSTED"; "UNKNOWN" for a number that is none. Never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn medforge_result_name(result: u32) -> *const c_char {
    let found = Status::ALL.iter().find(|(status, _)| *status as u32 == result);
    found.map_or(c"UNKNOWN", |(_, name)| name).as_ptr()
}

/// The version of the library, such as "0.1.0". Never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn medforge_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}
