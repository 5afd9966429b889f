//! The checkpoint of a long command: where it stands, when it is kept, and what an interruption
//! says of it.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::input::beside;
use crate::Error;
use crate::output::{NewFile, Places};
use crate::train::Resumable;

/// A checkpoint is kept this often.
const EVERY: Duration = Duration::from_secs(30);

/// The checkpoint beside the output `out`. One that stands there is refused, unless the command
/// goes on from it (`resume`) or may forget it (`force`).
pub(super) fn place(
    places: &Places,
    out: &Path,
    resume: bool,
    force: bool,
) -> Result<NewFile, Error> {
    let file = places.updated("--out", &beside(out, ".checkpoint"))?;
    if file.path().exists() && !resume && !force {
        return Err(Error::CheckpointExists { path: file.path().to_owned() });
    }
    Ok(file)
}

/// Takes the checkpoint of a finished run away.
pub(super) fn forget(file: &NewFile) -> Result<(), Error> {
    let path = file.path();
    if path.exists() { fs::remove_file(path).map_err(|e| Error::io(path, e)) } else { Ok(()) }
}

/// Keeps the checkpoints of a run.
pub(super) struct Keeper<'a> {
    file: &'a NewFile,
    /// What must be the same when the run goes on.
    fingerprint: &'a str,
    saved: Instant,
}

impl<'a> Keeper<'a> {
    pub fn new(file: &'a NewFile, fingerprint: &'a str) -> Self {
        Keeper { file, fingerprint, saved: Instant::now() }
    }

    /// Whether the last checkpoint is old enough for another.
    pub fn is_due(&self) -> bool {
        self.saved.elapsed() > EVERY
    }

    pub fn keep(&mut self, checkpoint: &dyn Resumable) -> Result<(), Error> {
        checkpoint.save(self.file, self.fingerprint)?;
        self.saved = Instant::now();
        Ok(())
    }

    /// An interruption, with what to do next.
    pub fn explain(&self, error: Error) -> Error {
        match error {
            Error::Interrupted { .. } if self.file.path().exists() => Error::Interrupted {
                hint: format!(
                    "; {} is kept, go on with the same command and --resume",
                    self.file.path().display()
                ),
            },
            other => other,
        }
    }
}
