//! MedForge's C API: verify and open bundles, change what runs, classify images, read results.
//!
//! The conventions:
//!
//! - Every fallible function returns a [`medforge_result`](Status).
//! - Outputs come last, and are written only on success.
//! - Every pointer is checked for NULL, and a panic becomes a code.
//! - The error text belongs to the calling thread.
//!
//! It cannot be checked that a pointer points to as many bytes as the caller says. That is the
//! caller's promise, and the reason for the unsafe code in this crate.
#![deny(missing_docs)]

mod classifier;
mod growing;
mod image;
mod last_error;
mod log;
mod open;
mod pointer;
mod report;
mod results;
mod selection;
mod status;
mod strings;

pub use classifier::{
    Classifier, Memory, medforge_bundle_count, medforge_bundle_id, medforge_class_code,
    medforge_class_count, medforge_class_name, medforge_classify_rgb, medforge_close,
    medforge_default, medforge_default_module, medforge_manifest, medforge_memory_use,
    medforge_module_count, medforge_module_id, medforge_task_count, medforge_task_name,
};
pub use growing::Growing;
pub use image::{Image, ImageKind, Lut, PhotometricInterpretation, ValuesOfInterest};
pub use last_error::medforge_last_error;
pub use log::{Level, LogCallback, medforge_set_log};
pub use open::{
    OpenOptions, Source, medforge_add, medforge_open, medforge_open_with, medforge_replace,
    medforge_set_default, medforge_trust_follows, medforge_unload,
};
pub use report::{
    Limits, Report, ReportView, medforge_limits_get, medforge_report_free, medforge_report_get,
    medforge_verify,
};
pub use results::{
    Abstain, Classification, Code, Map, Results, medforge_classify, medforge_explain,
    medforge_results_count, medforge_results_free, medforge_results_get, medforge_results_map,
};
pub use selection::{
    Cancel, ClassifyOptions, Selection, SelectionKind, medforge_cancel_free, medforge_cancel_new,
    medforge_cancel_set,
};
pub use status::{
    MEDFORGE_VERSION_MAJOR, MEDFORGE_VERSION_MINOR, MEDFORGE_VERSION_PATCH, Status,
    medforge_result_name, medforge_version,
};
