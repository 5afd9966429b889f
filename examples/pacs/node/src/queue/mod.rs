//! Images and results on the disk. Each file appears whole: written beside, flushed, renamed, and
//! its folder flushed.
//!
//! `accepted/UID.dcm`: an image that was answered for. `results/UID.{sr,sc}.dcm`, then
//! `results/UID.json`: its results, complete when the last is there. `done/UID.json`: sent; the
//! audit line. `failed/UID.json` and `failed/UID.dcm`: what could not be classified, and why; with
//! `failed/UID.{sr,sc}.dcm` what the archive refused.

mod accept;
mod aside;
mod compare;
mod files;
mod line;
mod partial;

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

pub use accept::{Accepted, valid};
pub use line::{Length, Waiting};
pub use partial::PartialFile;

use crate::counts::Counts;
use crate::log::once;
use crate::{Result, locked};
use line::Line;

/// The folders, and which images wait.
pub struct Queue {
    root: PathBuf,
    _alone: File,
    /// The folders, open for good: flushing one must not fail for want of a handle.
    folders: [File; FOLDERS.len()],
    state: Mutex<State>,
    changed: Condvar,
    /// Held while an image comes in under its identifier, or comes back from `failed/`.
    entering: Mutex<()>,
    /// Held while pixels are compared: one picture at a time is in memory for that.
    comparing: Mutex<()>,
    pub counts: Counts,
}

/// What is to be done to an image next.
#[derive(Clone, Copy)]
pub enum Stage {
    Classify,
    Send,
}

#[derive(Default)]
struct State {
    to_classify: Line,
    to_send: Line,
    failed: BTreeSet<String>,
}

impl State {
    fn of(&mut self, stage: Stage) -> &mut Line {
        match stage {
            Stage::Classify => &mut self.to_classify,
            Stage::Send => &mut self.to_send,
        }
    }
}

const FOLDERS: [&str; 4] = ["accepted", "results", "done", "failed"];

impl Queue {
    /// Opens or makes the folders; what a stop left is taken up again.
    pub fn open(root: &Path) -> Result<Self> {
        if let Err(error) = partial::private_folder(root) {
            // Its owner is somebody else; whoever may write to it is named in docs/integration.md.
            if !root.is_dir() {
                return Err(format!("{}: {error}", root.display()).into());
            }
            once(&format!("{}: the folder keeps its mode: {error}", root.display()));
        }
        let alone = alone(root)?;
        for folder in FOLDERS {
            partial::private_folder(&root.join(folder))?;
        }
        for folder in FOLDERS.iter().chain([&"."]) {
            for entry in fs::read_dir(root.join(folder))? {
                let path = entry?.path();
                // Half-written: nobody was told that it is here.
                if path.extension().is_some_and(|ending| ending == partial::ENDING) {
                    fs::remove_file(path)?;
                }
            }
        }
        let [accepted, results, done, failed] = FOLDERS.map(|folder| File::open(root.join(folder)));
        let folders = [accepted?, results?, done?, failed?];
        let queue = Queue {
            root: root.to_owned(),
            _alone: alone,
            folders,
            state: Mutex::default(),
            changed: Condvar::new(),
            entering: Mutex::default(),
            comparing: Mutex::default(),
            counts: Counts::default(),
        };
        queue.finish_moves()?;
        let mut found = Vec::new();
        for entry in fs::read_dir(root.join("accepted"))? {
            let entry = entry?;
            let name = entry.file_name().into_string().unwrap_or_default();
            if let Some(uid) = name.strip_suffix(".dcm").filter(|uid| valid(uid)) {
                found.push((entry.metadata()?.modified()?, uid.to_owned()));
            }
        }
        found.sort();
        found
            .into_iter()
            .for_each(|(since, uid)| queue.put(Stage::Classify, Waiting::new(uid, since)));
        queue.lock().failed = queue.failures()?.into_iter().collect();
        Ok(queue)
    }

    /// The next image at this stage; with `retried` also one that was tried in vain. Waits for it,
    /// but no longer than `wait`.
    pub fn next(&self, stage: Stage, retried: bool, wait: Duration) -> Option<Waiting> {
        let end = Instant::now() + wait;
        let mut state = self.lock();
        loop {
            let line = state.of(stage);
            if let Some(waiting) = line.next(retried) {
                return Some(waiting);
            }
            let until = line.due().filter(|_| retried).map_or(end, |due| due.min(end));
            let now = Instant::now();
            if now >= end {
                return None;
            }
            let pause = until.saturating_duration_since(now);
            state =
                self.changed.wait_timeout(state, pause).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Puts an image in line for this stage.
    pub fn put(&self, stage: Stage, waiting: Waiting) {
        self.lock().of(stage).put(waiting);
        self.changed.notify_all();
    }

    /// Moves an image from one stage's line to another's. At no moment it is in neither.
    pub fn pass_on(&self, from: Stage, to: Stage, waiting: Waiting) {
        let mut state = self.lock();
        state.of(from).left(&waiting);
        state.of(to).put(waiting);
        drop(state);
        self.changed.notify_all();
    }

    /// Says that an image has left this stage.
    pub fn left(&self, stage: Stage, waiting: &Waiting) {
        self.lock().of(stage).left(waiting);
    }

    /// Gives an image its place back: it was not tried.
    pub fn back(&self, stage: Stage, waiting: Waiting) {
        self.lock().of(stage).back(waiting);
        self.changed.notify_all();
    }

    /// Lets an image that was tried in vain come again after `pause`.
    pub fn later(&self, stage: Stage, waiting: Waiting, pause: Duration) {
        self.lock().of(stage).later(waiting, pause);
        self.changed.notify_all();
    }

    /// What waits to be classified and to be sent, and how many have failed.
    pub fn lengths(&self) -> (Length, Length, usize) {
        let state = self.lock();
        (state.to_classify.length(), state.to_send.length(), state.failed.len())
    }

    /// Nothing comes in or back while this is held.
    #[cfg(test)]
    pub fn hold(&self) -> MutexGuard<'_, ()> {
        locked(&self.entering)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        locked(&self.state)
    }
}

/// What says that one node has this queue, until it ends.
fn alone(root: &Path) -> Result<File> {
    let path = root.join("lock");
    let file =
        partial::private_file(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            Err(format!("{}: another node has this queue", root.display()).into())
        }
        // Some network file systems know no locks.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(file),
    }
}

/// Now, for an image that is accepted.
fn accepted_now(uid: &str) -> Waiting {
    Waiting::new(uid.to_owned(), SystemTime::now())
}
