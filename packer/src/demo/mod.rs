//! The demonstration: three hospitals' synthetic images become three modules, one signed bundle and
//! a report, with nothing but this program.
//!
//! Refused: the seed that the embedded base was trained on. A runtime that disagrees with the
//! evaluation is an error, and so is a changed bundle that passes verification.

mod gallery;
mod options;
mod outcome;
mod pack;
mod report;
mod run;
mod study;

pub use options::Options;
pub use outcome::{Demo, MARKER};
pub use run::{STAGES, run};
