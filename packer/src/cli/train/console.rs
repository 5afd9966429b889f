//! What `packer train` shows while it runs, and when it keeps a checkpoint.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::profile::Profiling;
use crate::output::NewFile;
use crate::train::{Checkpoint, Epoch, Observer};
use crate::{Error, output};

/// The progress bar, and the checkpoint file.
pub(super) struct Console<'a> {
    pub bar: ProgressBar,
    path: &'a NewFile,
    fingerprint: &'a str,
    epochs: usize,
    first_step: usize,
    images: usize,
    loss: f64,
    start: Instant,
    saved: Instant,
    pub profile: Option<Profiling>,
}

/// A checkpoint is made this often within an epoch.
const CHECKPOINT: Duration = Duration::from_secs(30);

impl<'a> Console<'a> {
    pub fn new(path: &'a NewFile, fingerprint: &'a str, epochs: usize, first_step: usize) -> Self {
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} steps  {msg}  {eta} left");
        let bar =
            ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let now = Instant::now();
        Console {
            bar,
            path,
            fingerprint,
            epochs,
            first_step,
            images: 0,
            loss: f64::NAN,
            start: now,
            saved: now,
            profile: None,
        }
    }

    /// An interruption, with what to do next.
    pub fn explain(&self, error: Error) -> Error {
        match error {
            Error::Interrupted { .. } if self.path.path().exists() => Error::Interrupted {
                hint: format!(
                    "; {} is kept, go on with the same command and --resume",
                    self.path.path().display()
                ),
            },
            other => other,
        }
    }
}

impl Observer for Console<'_> {
    fn step(&mut self, done: usize, total: usize, images: usize, loss: Option<f64>) {
        if let Some(profile) = &mut self.profile {
            profile.after(done - self.first_step);
        }
        self.images += images;
        self.loss = loss.unwrap_or(self.loss);
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

    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), Error> {
        checkpoint.save(self.path, self.fingerprint)?;
        self.saved = Instant::now();
        Ok(())
    }

    fn wants_checkpoint(&mut self) -> bool {
        self.saved.elapsed() > CHECKPOINT
    }
}
