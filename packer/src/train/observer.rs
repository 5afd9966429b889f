//! Who watches a long run, a training or a condensation, and keeps its checkpoints.

use crate::Error;
use crate::output::NewFile;

use super::outcome::Epoch;

/// A step that is done.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// What the steps do, in words; they are counted anew in each stage.
    pub stage: &'static str,
    pub done: usize,
    pub total: usize,
    /// Images of the step.
    pub images: usize,
    /// The loss, where it was read back.
    pub loss: Option<f64>,
}

/// A state that a stopped run goes on from.
pub trait Resumable {
    /// Steps done.
    fn step(&self) -> usize;

    /// Writes the file in one go. `fingerprint` names the base, the data and whatever else must be
    /// the same when the run goes on.
    ///
    /// # Errors
    /// What cannot be written.
    fn save(&self, file: &NewFile, fingerprint: &str) -> Result<(), Error>;
}

/// What a caller sees while a run goes on.
pub trait Observer {
    /// After each step.
    fn step(&mut self, _step: &Step) {}
    /// After each epoch of a training.
    fn epoch(&mut self, _epoch: &Epoch) {}
    /// When a checkpoint is due: when [`Observer::wants_checkpoint`] says so and on interruption;
    /// in a training after each epoch too; in a condensation before the first step too.
    fn checkpoint(&mut self, _checkpoint: &dyn Resumable) -> Result<(), Error> {
        Ok(())
    }
    /// Whether to make a checkpoint now, between two steps.
    fn wants_checkpoint(&mut self) -> bool {
        false
    }
}

/// An observer that does not look.
pub struct Unobserved;
impl Observer for Unobserved {}
