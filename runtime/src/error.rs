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
    // --- bundle ---
    // --- classify ---
}

impl Error {
    /// Whether a bundle was looked at and refused (as opposed to: could not be looked at).
    pub fn is_refusal(&self) -> bool {
        false
    }
}
