//! What `packer condense` shows while it runs.

use indicatif::{ProgressBar, ProgressStyle};

use crate::Error;
use crate::cli::keep::Keeper;
use crate::output::NewFile;
use crate::train::{Observer, Resumable, Step};

/// The progress bar, and the keeper of checkpoints.
pub(super) struct Console<'a> {
    pub bar: ProgressBar,
    pub keeper: Keeper<'a>,
    /// Iterations, and the mean loss of late at each.
    pub course: Vec<(usize, f64)>,
}

impl<'a> Console<'a> {
    pub fn new(path: &'a NewFile, fingerprint: &'a str) -> Self {
        let style =
            ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len}  {msg}  {eta} left");
        let bar =
            ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Console { bar, keeper: Keeper::new(path, fingerprint), course: Vec::new() }
    }
}

impl Observer for Console<'_> {
    fn step(&mut self, step: &Step) {
        if self.bar.prefix() != step.stage {
            self.bar.reset();
            self.bar.set_prefix(step.stage);
        }
        self.bar.set_length(step.total as u64);
        self.bar.set_position(step.done as u64);
        self.bar.set_message(step.loss.map_or(String::new(), |loss| format!("loss {loss:.4}")));
        self.course.extend(step.loss.map(|loss| (step.done, loss)));
    }

    fn checkpoint(&mut self, checkpoint: &dyn Resumable) -> Result<(), Error> {
        self.keeper.keep(checkpoint)
    }

    fn wants_checkpoint(&mut self) -> bool {
        self.keeper.is_due()
    }
}
