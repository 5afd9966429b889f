//! Everything that the runtime refuses: one variant per cause, each naming the entry, tensor or file.

/// Why the runtime stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    // --- tensors, images, preprocessing ---
    /// A tensor file that is damaged, hostile or not of a kind that is read here.
    #[error("{file}: {what}")]
    TensorFile { file: String, what: String },
    /// One tensor that cannot be used.
    #[error("{file}: tensor {tensor}: {what}")]
    Tensor { file: String, tensor: String, what: String },
    /// An image file that does not decode, or that is too large or of a kind that is not read here.
    #[error("{file}: {what}")]
    Image { file: String, what: String },
    /// Pixels whose size, stride and length do not fit together.
    #[error("pixels: {what}")]
    Pixels { what: String },
    /// Preprocessing values that cannot be carried out.
    #[error("preprocessing: {what}")]
    Preprocessing { what: String },
    // --- bundle ---
    // Signed archives of every kind: bundles, and what else has a description of its own.
    /// Not a bundle at all, or one that was cut off or added to.
    #[error("not a whole archive: {what}")]
    NotABundle { what: String },
    /// Larger than version 1 of the format allows, or than is safe to read.
    #[error("refused: {what}")]
    BundleLimit { what: String },
    /// The archive's bytes are not the one canonical form.
    #[error("refused: byte {offset} ({part}) is not in canonical form: {what}; pack it again")]
    BundleFrame { offset: usize, part: String, what: String },
    /// An entry name that the format does not allow.
    #[error("refused: entry {name:?}: {what}")]
    BundleName { name: String, what: String },
    /// The manifest names an entry that is not in the archive, or a needed entry is missing.
    #[error("refused: entry {entry} is missing")]
    BundleEntryMissing { entry: String },
    /// The archive holds an entry that the manifest does not name.
    #[error("refused: entry {entry} is not in the manifest")]
    BundleEntryUnlisted { entry: String },
    /// An entry is longer or shorter than the manifest says.
    #[error("refused: entry {entry} has {found} bytes where the manifest says {expected}")]
    BundleEntryLength { entry: String, expected: u64, found: u64 },
    /// An entry's bytes are not those that were signed.
    #[error("refused: entry {entry} was changed: its SHA-256 is {found} where the manifest says {expected}")]
    BundleEntryDigest { entry: String, expected: String, found: String },
    /// An entry is as signed but cannot be used.
    #[error("refused: entry {entry}: {source}")]
    BundleEntryContent { entry: String, source: Box<Error> },
    /// `manifest.json` is not of a format version that is read here.
    #[error("refused: manifest.json is {found}, and this program reads {expected}")]
    ManifestVersion { found: String, expected: String },
    /// `manifest.json` or `signatures.json` is not JSON of the expected form.
    #[error("refused: {entry}: {what}")]
    BundleJson { entry: String, what: String },
    /// `manifest.json` or `signatures.json` says the right thing in other bytes than RFC 8785's.
    #[error("refused: {entry} is not in canonical JSON (RFC 8785): byte {offset} differs")]
    BundleJsonNotCanonical { entry: String, offset: usize },
    /// `manifest.json` contradicts itself or holds a value out of range.
    #[error("refused: manifest.json: {what}")]
    Manifest { what: String },
    /// `signatures.json` holds a signature that does not verify.
    #[error("refused: the signature by key {key} does not match manifest.json")]
    SignatureInvalid { key: String },
    /// `signatures.json` holds a key or a list that no signer makes.
    #[error("refused: signatures.json: {what}")]
    Signatures { what: String },
    /// Fewer trusted keys have signed than the trust asks for.
    #[error(
        "refused: {trusted} of the trusted keys signed it and {threshold} must; it is signed by {signers}; pass the signer's public key with --trust if you trust it"
    )]
    NotTrusted { trusted: usize, threshold: usize, signers: String },
    /// A trusted key, or the number of them, that cannot be used.
    #[error("trusted keys: {what}")]
    Trust { what: String },
    // --- classify ---
    /// The base's graph is not one that runs here.
    #[error("bundle refused: {entry} {what}; pack the bundle again with `packer bundle`")]
    Graph { entry: String, what: String },
    /// Tensors that do not fit the graph or the manifest: every one of them.
    #[error("bundle refused: {entry}: {}; pack the bundle again with `packer bundle`", tensors.join("; "))]
    Misfit { entry: String, tensors: Vec<String> },
    /// This device computes something else than the packer did.
    #[error(
        "this device disagrees with the golden vectors of task {task} (relative error of the feature {feature:.1e}, largest error of a probability {probability:.1e}); do not use its results"
    )]
    GoldenMismatch { task: String, feature: f64, probability: f64 },
    /// The computation failed.
    #[error("this device cannot run the bundle: {what}")]
    Device { what: String },
    /// A task that the bundle has no head for.
    #[error("the bundle has no task {task:?}; it has {known}")]
    UnknownTask { task: String, known: String },
    /// The bundle has several tasks and none was named.
    #[error("the bundle has several tasks, so one must be named: {known}")]
    TaskNeeded { known: String },
    /// One image of a batch; the first is 0.
    #[error("image {index} of the batch: {source}")]
    InBatch { index: usize, source: Box<Error> },
}

impl Error {
    /// Whether a bundle was looked at and refused (as opposed to: could not be looked at).
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Error::NotABundle { .. }
                | Error::BundleLimit { .. }
                | Error::BundleFrame { .. }
                | Error::BundleName { .. }
                | Error::BundleEntryMissing { .. }
                | Error::BundleEntryUnlisted { .. }
                | Error::BundleEntryLength { .. }
                | Error::BundleEntryDigest { .. }
                | Error::BundleEntryContent { .. }
                | Error::ManifestVersion { .. }
                | Error::BundleJson { .. }
                | Error::BundleJsonNotCanonical { .. }
                | Error::Manifest { .. }
                | Error::SignatureInvalid { .. }
                | Error::Signatures { .. }
                | Error::NotTrusted { .. }
                | Error::Graph { .. }
                | Error::Misfit { .. }
        )
    }
}
