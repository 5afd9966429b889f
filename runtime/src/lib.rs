//! MedForge's runtime: verifies a signed bundle, loads its base and modules, and classifies images on the device.
//!
//! It opens no socket, starts no thread unless asked and writes no file.
#![forbid(unsafe_code)]

pub mod bundle;
pub mod classify;
pub mod error;
pub mod image;
pub mod preprocess;
pub mod tensors;

pub use error::Error;
