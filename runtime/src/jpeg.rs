//! JPEG files (ITU-T T.81), decoded here: what a file says of itself, by [`head()`]; lossless ones,
//! by [`lossless::decode`]; and the others, by [`dct::decode`].
//!
//! Refused by name: arithmetic coding, hierarchical files, a number of lines that comes after the
//! first scan. Data that ends early or goes on for long after the last sample is an error. So are
//! codes that no table has. Nothing is filled up.

mod bits;
pub mod dct;
mod entropy;
mod head;
mod huffman;
mod idct;
pub mod lossless;
mod planes;
mod read;
mod walk;

use std::fmt;

pub use head::{Component, Head, Process, Quantization, Scan, ScanComponent};
pub use idct::Sample;
pub use read::head;

/// What a JPEG holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded<S> {
    /// Row by row, the colours of a pixel side by side: `rows * columns * components`.
    pub samples: Vec<S>,
    /// Whether a scan has bytes after its last sample, too few to be of lost ones.
    pub surplus: bool,
}

/// Why a JPEG is not decoded, as a clause about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It breaks the standard, or ends early.
    Damaged(String),
    /// It is of a kind that is not read here.
    Unsupported(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Fault::Damaged(what) | Fault::Unsupported(what)) = self;
        f.write_str(what)
    }
}

impl std::error::Error for Fault {}

fn damaged(what: impl Into<String>) -> Fault {
    Fault::Damaged(what.into())
}

fn unsupported(what: impl Into<String>) -> Fault {
    Fault::Unsupported(what.into())
}

#[cfg(test)]
mod tests;
