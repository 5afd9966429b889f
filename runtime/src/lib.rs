//! MedForge's runtime: verifies a signed bundle, loads its base and modules, and classifies images
//! on the device.
//!
//! It opens no socket, starts no thread unless asked and writes no file.
// Forbidden but for two modules, which say why: `kernel::vnni` and `classify::process`.
#![deny(unsafe_code)]
#![deny(missing_docs)]

pub mod bundle;
mod class;
#[cfg(feature = "classify")]
pub mod classify;
#[cfg(feature = "dicom")]
pub mod dicom;
pub mod error;
pub mod file;
mod guard;
pub mod image;
pub mod jpeg;
mod json;
#[cfg(feature = "classify")]
mod kernel;
mod memory;
#[cfg(feature = "classify")]
pub mod onnx;
pub mod preprocess;
pub mod stored;
#[cfg(any(feature = "classify", test))]
mod swap;
pub mod tensors;
#[cfg(feature = "classify")]
pub mod vit;
pub mod words;

pub use class::Class;
pub use error::{Error, Refusal};
