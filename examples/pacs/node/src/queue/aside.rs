//! `failed/`: images that could not be classified and results that the archive refused, with the
//! reason each. They go back into line on request.
//!
//! `failed/UID.json` is written first and removed last. The image moves last on the way in and
//! first on the way out. Its line in `results/` goes when all is safe. Each step may be done again.
//! Where a stop leaves `accepted/UID.dcm` beside `failed/UID.json`, the image goes back into line.
//! Where a fault of the disk does, it goes on to `failed/` when its turn comes again.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use serde_json::{Value, json};

use super::{Queue, Stage, accepted_now, valid};
use crate::log::{once, said};
use crate::{Result, locked};

/// The endings of results that move with an image.
const RESULTS: [&str; 2] = ["sr.dcm", "sc.dcm"];

impl Queue {
    /// Puts an image aside that cannot be classified, with the reason.
    pub fn fail(&self, uid: &str, why: &str) -> Result<()> {
        self.put_aside(uid, &json!({ "image": uid, "error": why }))
    }

    /// Puts results aside that the archive refused, with the reason; the audit line stays with it.
    pub fn refuse(&self, uid: &str, why: &str) -> Result<()> {
        let found = match readable(self.line("results", uid))? {
            Some(line) => Some(line),
            None => readable(self.line("failed", uid))?,
        };
        let mut line = found.unwrap_or_else(|| json!({ "image": uid }));
        line["error"] = why.into();
        self.put_aside(uid, &line)
    }

    /// Whether an image was on its way to `failed/` when the disk failed.
    pub fn going_aside(&self, uid: &str) -> bool {
        self.path("failed", uid, "json").exists()
    }

    /// Moves on what was on its way to `failed/`.
    pub fn go_aside(&self, uid: &str) -> Result<()> {
        let _entering = locked(&self.entering);
        self.move_aside(uid)
    }

    fn put_aside(&self, uid: &str, line: &Value) -> Result<()> {
        let _entering = locked(&self.entering);
        self.write("failed", uid, "json", line.to_string().as_bytes())?;
        self.move_aside(uid)
    }

    fn move_aside(&self, uid: &str) -> Result<()> {
        for ending in RESULTS {
            moved(&self.path("results", uid, ending), &self.path("failed", uid, ending))?;
        }
        moved(&self.path("accepted", uid, "dcm"), &self.path("failed", uid, "dcm"))?;
        self.flush("failed")?;
        removed(&self.path("results", uid, "json"))?;
        self.lock().failed.insert(uid.to_owned());
        Ok(())
    }

    /// Puts everything that failed in line again. Gives how many images these are, and how many the
    /// disk did not let go.
    pub fn retry_failed(&self) -> (usize, usize) {
        let failed: Vec<_> = self.lock().failed.iter().cloned().collect();
        let (mut images, mut left) = (0, 0);
        for uid in failed {
            let _entering = locked(&self.entering);
            // Somebody else may have asked at the same time.
            if !self.lock().failed.contains(&uid) {
                continue;
            }
            match self.take_back(&uid) {
                Ok(()) => {
                    self.lock().failed.remove(&uid);
                    self.put(Stage::Classify, accepted_now(&uid));
                    images += 1;
                }
                Err(error) => {
                    let text = format!("{uid}: still in failed/: {error}");
                    self.counts.error(&text);
                    said("retry", &text);
                    left += 1;
                }
            }
        }
        (images, left)
    }

    /// Finishes what a stop left between two folders. On a disk that is full it is left as it is:
    /// the image is in line in any case.
    pub(super) fn finish_moves(&self) -> Result<()> {
        for uid in self.failures()? {
            let finished = if self.path("accepted", &uid, "dcm").exists() {
                self.take_back(&uid)
            } else if self.path("results", &uid, "json").exists() {
                self.move_aside(&uid)
            } else {
                Ok(())
            };
            if let Err(error) = finished {
                once(&format!("{uid}: still in failed/: {error}"));
            }
        }
        Ok(())
    }

    fn take_back(&self, uid: &str) -> Result<()> {
        moved(&self.path("failed", uid, "dcm"), &self.path("accepted", uid, "dcm"))?;
        for ending in RESULTS {
            moved(&self.path("failed", uid, ending), &self.path("results", uid, ending))?;
        }
        // An audit line: the results need not be made again.
        if let Some(mut line) = readable(self.line("failed", uid))?
            && line.get("pixels_sha256").is_some()
        {
            line.as_object_mut().map(|line| line.remove("error"));
            self.write("results", uid, "json", line.to_string().as_bytes())?;
        }
        self.flush("accepted")?;
        Ok(removed(&self.path("failed", uid, "json"))?)
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

/// A line, or none if it cannot be understood.
fn readable(line: io::Result<Option<Value>>) -> io::Result<Option<Value>> {
    match line {
        Err(error) if error.kind() == ErrorKind::InvalidData => Ok(None),
        line => line,
    }
}

/// Moves a file, if it is there.
fn moved(from: &Path, to: &Path) -> io::Result<()> {
    if from.exists() {
        fs::rename(from, to)?;
    }
    Ok(())
}

fn removed(path: &Path) -> io::Result<()> {
    if path.exists() {
        fs::remove_file(path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Waiting;

    fn put(queue: &Queue, uid: &str) {
        queue.write("accepted", uid, "dcm", b"image").unwrap();
        queue.write_results(uid, b"report", b"capture", br#"{"pixels_sha256":"00"}"#).unwrap();
        queue.put(Stage::Send, Waiting::new(uid.into(), std::time::SystemTime::now()));
    }

    /// A folder in the image's place stops the move half-way.
    #[test]
    fn what_the_disk_stops_on_its_way_to_failed_gets_there_with_its_reason() {
        let place = tempfile::tempdir().unwrap();
        let queue = Queue::open(place.path()).unwrap();
        put(&queue, "1.2");
        let in_the_way = queue.path("failed", "1.2", "dcm");
        fs::create_dir(&in_the_way).unwrap();
        assert!(queue.refuse("1.2", "the reason").is_err());
        assert!(queue.going_aside("1.2") && queue.path("results", "1.2", "json").exists());
        assert_eq!((queue.lengths().2, queue.retry_failed()), (0, (0, 0)));
        assert!(queue.go_aside("1.2").is_err());
        fs::remove_dir(&in_the_way).unwrap();
        queue.go_aside("1.2").unwrap();
        queue.go_aside("1.2").unwrap();
        assert!(!queue.path("results", "1.2", "json").exists() && in_the_way.exists());
        assert_eq!(queue.line("failed", "1.2").unwrap().unwrap()["error"], "the reason");
        // Without its line in results/ the one in failed/ counts.
        queue.refuse("1.2", "another").unwrap();
        assert_eq!(queue.line("failed", "1.2").unwrap().unwrap()["pixels_sha256"], "00");
        assert_eq!((queue.lengths().2, queue.retry_failed(), queue.lengths().2), (1, (1, 0), 0));
        assert!(queue.has_results("1.2"));
    }

    #[test]
    fn a_line_that_a_stop_left_in_results_beside_what_failed_is_removed() {
        let place = tempfile::tempdir().unwrap();
        let queue = Queue::open(place.path()).unwrap();
        put(&queue, "1.2");
        queue.refuse("1.2", "for a test").unwrap();
        queue.write("results", "1.2", "json", b"{}").unwrap();
        drop(queue);
        let queue = Queue::open(place.path()).unwrap();
        assert!(!queue.path("results", "1.2", "json").exists());
        assert_eq!((queue.lengths().2, queue.retry_failed()), (1, (1, 0)));
    }

    #[test]
    fn one_image_that_cannot_be_tried_again_stops_no_other() {
        let place = tempfile::tempdir().unwrap();
        let queue = Queue::open(place.path()).unwrap();
        for uid in ["1.1", "1.2", "1.3"] {
            put(&queue, uid);
            queue.refuse(uid, "for a test").unwrap();
        }
        let in_the_way = queue.path("accepted", "1.1", "dcm");
        fs::create_dir(&in_the_way).unwrap();
        assert_eq!((queue.retry_failed(), queue.lengths().2), ((2, 1), 1));
        fs::remove_dir(&in_the_way).unwrap();
        assert_eq!(
            (queue.retry_failed(), queue.lengths().2, queue.lengths().0.waiting),
            ((1, 0), 0, 3)
        );
    }
}
