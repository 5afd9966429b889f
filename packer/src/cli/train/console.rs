//! What `packer train` shows while it runs.

use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::keep::Keeper;
use crate::cli::profile::Profiling;
use crate::output::NewFile;
use crate::train::{Epoch, Observer, Resumable, Step};
use crate::{Error, output};

/// The progress bar, and the keeper of checkpoints.
pub(super) struct Console<'a> {
    pub bar: ProgressBar,
    pub keeper: Keeper<'a>,
    epochs: usize,
    first_step: usize,
    images: usize,
    loss: f64,
    start: Instant,
    pub profile: Option<Profiling>,
}

impl<'a> Console<'a> {
    pub fn new(path: &'a NewFile, fingerprint: &'a str, epochs: usize, first_step: usize) -> Self {
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} steps  {msg}  {eta} left");
        let bar =
            ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Console {
            bar,
            keeper: Keeper::new(path, fingerprint),
            epochs,
            first_step,
            images: 0,
            loss: f64::NAN,
            start: Instant::now(),
            profile: None,
        }
    }
}

impl Observer for Console<'_> {
    fn step(&mut self, step: &Step) {
        let (done, total) = (step.done, step.total);
        if let Some(profile) = &mut self.profile {
            profile.after(done - self.first_step);
        }
        self.images += step.images;
        self.loss = step.loss.unwrap_or(self.loss);
        let speed = self.images as f64 / self.start.elapsed().as_secs_f64();
        self.bar.set_length((total - self.first_step) as u64);
        self.bar.set_position((done - self.first_step) as u64);
        self.bar.set_message(format!(
            "epoch {}/{}  loss {:.4}  {speed:.1} images/s",
            done.saturating_sub(1) * self.epochs / total + 1,
            self.epochs,
            self.loss
        ));
    }

    fn epoch(&mut self, epoch: &Epoch) {
        let validation = epoch.validation.map_or(String::new(), |v| {
            format!(", validation balanced accuracy {:.4}, loss {:.4}", v.balanced_accuracy, v.loss)
        });
        let line = format!("epoch {}: loss {:.4}{validation}", epoch.epoch, epoch.loss);
        if self.bar.is_hidden() { output::say(&line) } else { self.bar.println(line) }
    }

    fn checkpoint(&mut self, checkpoint: &dyn Resumable) -> Result<(), Error> {
        self.keeper.keep(checkpoint)
    }

    fn wants_checkpoint(&mut self) -> bool {
        self.keeper.is_due()
    }
}
