//! `failed/`: images that could not be classified and results that the archive refused, with the
//! reason each; and back into line on request.
//!
//! `failed/UID.json` is written first and removed last, and the image moves last on the way in and
//! first on the way out: where a stop leaves `accepted/UID.dcm` beside `failed/UID.json`, the image
//! goes back into line.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{Queue, Stage, accepted_now, locked, valid};
use crate::Result;
use crate::log::once;

/// A file, by folder and ending, and where it is kept in `failed/`.
const MOVED: [(&str, &str); 2] = [("results", "sr.dcm"), ("results", "sc.dcm")];

impl Queue {
    /// Puts an image aside that cannot be classified, with the reason.
    pub fn fail(&self, uid: &str, why: &str) -> Result<()> {
        self.put_aside(uid, json!({ "image": uid, "error": why }))
    }

    /// Puts results aside that the archive refused, with the reason; the audit line stays with it.
    pub fn refuse(&self, uid: &str, why: &str) -> Result<()> {
        let mut line: Value = serde_json::from_slice(&fs::read(self.path("results", uid, "json"))?)?;
        line["error"] = why.into();
        self.put_aside(uid, line)
    }

    fn put_aside(&self, uid: &str, line: Value) -> Result<()> {
        let _entering = locked(&self.entering);
        self.write("failed", uid, "json", line.to_string().as_bytes())?;
        for (folder, ending) in MOVED {
            moved(&self.path(folder, uid, ending), &self.path("failed", uid, ending))?;
        }
        removed(&self.path("results", uid, "json"))?;
        moved(&self.path("accepted", uid, "dcm"), &self.path("failed", uid, "dcm"))?;
        self.flush("failed")?;
        self.lock().failed += 1;
        Ok(())
    }

    /// Puts everything that failed in line again; how many images these are.
    pub fn retry_failed(&self) -> Result<usize> {
        let mut images = 0;
        for uid in self.failures()? {
            let _entering = locked(&self.entering);
            // Somebody else may have asked at the same time.
            if self.path("failed", &uid, "json").exists() {
                self.take_back(&uid)?;
                self.lock().failed -= 1;
                self.put(Stage::Classify, accepted_now(&uid));
                images += 1;
            }
        }
        Ok(images)
    }

    /// Finishes what a stop left between two folders. On a disk that is full it is left as it is:
    /// the image is in line in any case.
    pub(super) fn finish_moves(&self) -> Result<()> {
        for uid in self.failures()? {
            if self.path("accepted", &uid, "dcm").exists()
                && let Err(error) = self.take_back(&uid)
            {
                once(&format!("{uid}: still in failed/: {error}"));
            }
        }
        Ok(())
    }

    fn take_back(&self, uid: &str) -> Result<()> {
        moved(&self.path("failed", uid, "dcm"), &self.path("accepted", uid, "dcm"))?;
        for (folder, ending) in MOVED {
            moved(&self.path("failed", uid, ending), &self.path(folder, uid, ending))?;
        }
        let kept = self.path("failed", uid, "json");
        let mut line: Value = serde_json::from_slice(&fs::read(&kept)?).unwrap_or_default();
        // An audit line: the results need not be made again.
        if line.get("pixels_sha256").is_some() {
            line.as_object_mut().map(|line| line.remove("error"));
            self.write("results", uid, "json", line.to_string().as_bytes())?;
        }
        fs::remove_file(kept)?;
        ["accepted", "failed"].into_iter().try_for_each(|folder| self.flush(folder))
    }

    /// The images in `failed/`.
    pub(super) fn failures(&self) -> Result<Vec<String>> {
        let mut uids = Vec::new();
        for entry in fs::read_dir(self.root.join("failed"))? {
            let name = entry?.file_name().into_string().unwrap_or_default();
            uids.extend(name.strip_suffix(".json").filter(|uid| valid(uid)).map(str::to_owned));
        }
        Ok(uids)
    }
}

/// Moves a file, if it is there.
fn moved(from: &Path, to: &Path) -> Result<()> {
    if from.exists() {
        fs::rename(from, to)?;
    }
    Ok(())
}

fn removed(path: &Path) -> Result<()> {
    if path.exists() {
        fs::remove_file(path)?;
    }
    Ok(())
}
