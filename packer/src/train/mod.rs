//! Training: a LoRA module and a linear head (or under a fixed head of texts) on a frozen base, or
//! with [`Method::Full`] every weight of the base.
//!
//! One step is one batch on the tape, then AdamW. The state after any step can be written to a
//! checkpoint and taken up again: batches and augmentation depend only on the seed, the epoch and
//! the image, so a resumed run gives the same bytes.

mod checkpoint;
mod cut;
pub(crate) mod envelope;
mod epochs;
mod examples;
mod fits;
#[cfg(test)]
mod gpu_tests;
mod host;
mod job;
mod module;
mod observer;
mod outcome;
mod page;
mod parameters;
mod plan;
mod settings;
mod step;
mod stepper;
#[cfg(test)]
pub(crate) mod tests;
mod validation;

pub use checkpoint::Checkpoint;
pub use cut::Cut;
pub use examples::Examples;
pub use job::Job;
pub use module::About;
pub use observer::{Observer, Resumable, Step, Unobserved};
pub use outcome::{Epoch, Trained, Validation};
pub use page::Course;
pub use parameters::Parameters;
pub use plan::{ImageCounts, Memory, Plan};
pub use settings::{Method, TrainSettings};
pub use stepper::Stepper;
