//! Images and results on the disk. Each file appears whole: written beside, flushed, renamed, and its folder flushed.
//!
//! `accepted/UID.dcm`: an image that was answered for. `results/UID.{sr,sc}.dcm`, then `results/UID.json`: its results, complete when the last is there.
//! `done/UID.json`: sent; the audit line. `failed/UID.dcm` and `failed/UID.json`: what could not be classified, and why.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};

use crate::Result;

/// The folders, and which images wait.
pub struct Queue {
    root: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

/// What is to be done to an image next.
#[derive(Clone, Copy)]
pub enum Stage {
    Classify,
    Send,
}

#[derive(Default)]
struct State {
    to_classify: BTreeSet<String>,
    to_send: BTreeSet<String>,
}

impl State {
    fn of(&mut self, stage: Stage) -> &mut BTreeSet<String> {
        match stage {
            Stage::Classify => &mut self.to_classify,
            Stage::Send => &mut self.to_send,
        }
    }
}

impl Queue {
    /// Opens or makes the folders; what a stop left is taken up again.
    pub fn open(root: &Path) -> Result<Self> {
        for folder in ["accepted", "results", "done", "failed"] {
            fs::create_dir_all(root.join(folder))?;
        }
        let mut state = State::default();
        for entry in fs::read_dir(root.join("accepted"))? {
            let name = entry?.file_name().into_string().unwrap_or_default();
            match name.strip_suffix(".dcm") {
                Some(uid) => drop(state.to_classify.insert(uid.to_owned())),
                // Half-written: nobody was told that it is here.
                None => fs::remove_file(root.join("accepted").join(name))?,
            }
        }
        Ok(Queue { root: root.to_owned(), state: Mutex::new(state), changed: Condvar::new() })
    }

    /// Keeps an image: when this returns it is safe. One that is here or done already is not taken again.
    pub fn accept(&self, uid: &str, file: &[u8]) -> Result<()> {
        if !valid(uid) {
            return Err(format!("{uid:?} is no unique identifier").into());
        }
        let known = ["accepted", "failed"].map(|folder| self.path(folder, uid, "dcm")).iter().any(|path| path.exists());
        if known || self.path("done", uid, "json").exists() {
            return Ok(());
        }
        self.write("accepted", uid, "dcm", file)?;
        self.put(Stage::Classify, [uid.to_owned()]);
        Ok(())
    }

    /// The next images at this stage, at most so many; waits for one.
    pub fn take(&self, stage: Stage, most: usize) -> Vec<String> {
        let mut state = self.lock();
        loop {
            let waiting = state.of(stage);
            if !waiting.is_empty() {
                return std::iter::from_fn(|| waiting.pop_first()).take(most).collect();
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Puts images in line for this stage.
    pub fn put(&self, stage: Stage, uids: impl IntoIterator<Item = String>) {
        self.lock().of(stage).extend(uids);
        self.changed.notify_all();
    }

    /// Where a file of an image is.
    pub fn path(&self, folder: &str, uid: &str, ending: &str) -> PathBuf {
        self.root.join(folder).join(format!("{uid}.{ending}"))
    }

    /// Writes a file of an image, whole.
    pub fn write(&self, folder: &str, uid: &str, ending: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path(folder, uid, ending);
        // Two associations may bring the same image.
        static NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let beside = path.with_extension(format!("{ending}.{number}.part"));
        let mut file = File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, &path)?;
        self.flush(folder)
    }

    /// Marks an image as sent: its results' last file becomes the audit line.
    pub fn finish(&self, uid: &str) -> Result<()> {
        fs::rename(self.path("results", uid, "json"), self.path("done", uid, "json"))?;
        self.flush("done")?;
        self.clean(uid)
    }

    /// Removes what a finished image leaves.
    pub fn clean(&self, uid: &str) -> Result<()> {
        for (folder, ending) in [("results", "sr.dcm"), ("results", "sc.dcm"), ("accepted", "dcm")] {
            let path = self.path(folder, uid, ending);
            if path.exists() {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Puts an image aside that cannot be classified, with the reason.
    pub fn fail(&self, uid: &str, why: &str) -> Result<()> {
        let line = serde_json::json!({ "image": uid, "error": why }).to_string();
        self.write("failed", uid, "json", line.as_bytes())?;
        fs::rename(self.path("accepted", uid, "dcm"), self.path("failed", uid, "dcm"))?;
        self.flush("failed")
    }

    fn flush(&self, folder: &str) -> Result<()> {
        Ok(File::open(self.root.join(folder))?.sync_all()?)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether `uid` is a unique identifier (PS3.5, 9.1), and so a safe name of a file.
fn valid(uid: &str) -> bool {
    let inner = |byte: &u8| byte.is_ascii_digit() || *byte == b'.';
    (1..=64).contains(&uid.len()) && uid.as_bytes().iter().all(inner) && !uid.starts_with('.') && !uid.contains("..")
}
