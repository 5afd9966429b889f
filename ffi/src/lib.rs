//! MedForge's C API: open a verified bundle, classify pixels, read names and errors.
//!
//! The conventions: every fallible function returns a [`medforge_result`](Status), outputs come last and are written only
//! on success, every pointer is checked for NULL, a panic becomes a code, the error text belongs to the calling thread.
//! What cannot be checked is that a pointer points to as many bytes as the caller says; that is the caller's promise, and
//! the reason for the unsafe code in this crate.

mod classifier;
mod last_error;
mod open;
mod pointer;
mod status;

pub use classifier::{
    Classifier, medforge_bundle_id, medforge_class_count, medforge_class_name, medforge_classify_rgb, medforge_close,
    medforge_task_count, medforge_task_name,
};
pub use last_error::medforge_last_error;
pub use open::{OpenOptions, medforge_open, medforge_open_with, medforge_trust_follows};
pub use status::{Status, medforge_result_name, medforge_version};
