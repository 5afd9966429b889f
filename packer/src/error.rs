//! Everything that packer refuses or fails at: one variant per cause, each naming the file, tensor, row or option.

use std::path::PathBuf;

/// Why packer stopped. The text is one sentence for the person at the keyboard.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system said no (missing file, disk full, permission).
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    /// The output is there already.
    #[error("{} exists already; choose another --out, or pass --force to replace it", path.display())]
    OutputExists { path: PathBuf },
    /// Ctrl-C or a termination signal.
    #[error("interrupted{hint}")]
    Interrupted { hint: String },
    /// The runtime refused a tensor file, an image or a bundle.
    #[error(transparent)]
    Runtime(#[from] medforge_runtime::Error),
    // --- base, lora, train ---
    /// A configuration file that cannot be used.
    #[error("{}: {what}", path.display())]
    Config { path: PathBuf, what: String },
    // --- data ---
    // --- eval ---
    /// Predictions or features that cannot be evaluated.
    #[error("cannot evaluate: {what}")]
    Evaluation { what: String },
    // --- export, keys, bundle commands ---
}

impl Error {
    /// An input or output error on `path`.
    pub fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Error::Io { path: path.into(), source }
    }

    /// The process exit code: 130 interrupted, 3 bundle refused, 1 anything else.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Interrupted { .. } => 130,
            Error::Runtime(error) if error.is_refusal() => 3,
            _ => 1,
        }
    }
}
