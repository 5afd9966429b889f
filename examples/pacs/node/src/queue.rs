//! Images and results on the disk. Each file appears whole: written beside, flushed, renamed, and its folder flushed.
//!
//! `accepted/UID.dcm`: an image that was answered for. `results/UID.{sr,sc}.dcm`, then `results/UID.json`: its results, complete when the last is there.
//! `done/UID.json`: sent; the audit line. `failed/UID.dcm` and `failed/UID.json`: what could not be classified, and why.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::Result;

/// The folders, and which images wait or are worked on.
pub struct Queue {
    root: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: BTreeSet<String>,
    taken: BTreeSet<String>,
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
                Some(uid) => drop(state.waiting.insert(uid.to_owned())),
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
        self.lock().waiting.insert(uid.to_owned());
        self.changed.notify_one();
        Ok(())
    }

    /// The next image to work on; waits for one.
    pub fn take(&self) -> String {
        let mut state = self.lock();
        loop {
            if let Some(uid) = state.waiting.pop_first() {
                state.taken.insert(uid.clone());
                return uid;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends work on an image: it is finished, or waits again after a pause.
    pub fn release(&self, uid: &str, again: Option<Duration>) {
        if let Some(pause) = again {
            std::thread::sleep(pause);
        }
        let mut state = self.lock();
        state.taken.remove(uid);
        if again.is_some() {
            state.waiting.insert(uid.to_owned());
            self.changed.notify_one();
        }
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
        for path in [
            self.path("results", uid, "sr.dcm"),
            self.path("results", uid, "sc.dcm"),
            self.path("accepted", uid, "dcm"),
        ] {
            fs::remove_file(path)?;
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
