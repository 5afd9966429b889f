//! From an accepted image to its results.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use dicom_object::DefaultDicomObject;
use medforge_runtime::classify::{Classification, Classifier};
use medforge_runtime::dicom;
use medforge_runtime::image::RgbImage8;

use crate::log::said;
use crate::queue::{Queue, Stage, Waiting};
use crate::status::count;
use crate::{Result, capture, guarded, report};

/// Takes images from the queue and classifies them, one after another.
pub struct Worker {
    pub queue: Arc<Queue>,
    pub classifier: Arc<Classifier>,
    pub task: Option<String>,
}

/// What is known of an image when its results are written.
pub struct Answered {
    pub object: DefaultDicomObject,
    pub shown: RgbImage8,
    pub found: Classification,
    /// What was odd about the file and read all the same.
    pub notes: Vec<String>,
}

/// How long a thread waits for an image before it looks around.
pub const WAIT: Duration = Duration::from_secs(60);
/// When the disk does not take what is written, how long until an image is tried again.
const DISK: Duration = Duration::from_secs(3);

impl Worker {
    /// Classifies until the program ends.
    pub fn classify(&self) {
        loop {
            let Some(waiting) = self.queue.next(Stage::Classify, true, WAIT) else { continue };
            match guarded(|| self.results(&waiting.uid)) {
                Ok(sending) => {
                    self.queue.left(Stage::Classify, &waiting);
                    if sending {
                        self.queue.put(Stage::Send, waiting);
                    }
                }
                Err(error) => {
                    not_written(&self.queue, Stage::Classify, waiting, &*error);
                    // It is as full for the next one.
                    std::thread::sleep(Duration::from_secs(1));
                }
            }
        }
    }

    /// Writes an image's results, unless they are there; whether there are any to send.
    fn results(&self, uid: &str) -> Result<bool> {
        let queue = &self.queue;
        if queue.path("done", uid, "json").exists() {
            // Stopped between the mark and the end of cleaning up.
            queue.clean(uid)?;
            return Ok(false);
        }
        if !queue.path("results", uid, "json").exists() {
            let file = match std::fs::read(queue.path("accepted", uid, "dcm")) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    return queue.fail(uid, "somebody removed its file from accepted/").map(|()| false);
                }
                read => read?,
            };
            let [report, capture, line] = match guarded(|| self.answer(&file, uid)) {
                Ok(results) => results,
                Err(error) => {
                    queue.counts.error(&format!("{uid}: not classified: {error}"));
                    said("not classified", &format!("{uid}: not classified, and in failed/: {error}"));
                    return queue.fail(uid, &error.to_string()).map(|()| false);
                }
            };
            queue.write_results(uid, &report, &capture, &line)?;
            count(&queue.counts.classified);
        }
        Ok(true)
    }

    /// The report, the capture, and the line for the audit.
    fn answer(&self, file: &[u8], uid: &str) -> Result<[Vec<u8>; 3]> {
        let read = dicom::read(file, uid)?;
        if read.frames() != 1 {
            // A report about one frame that does not name it would be about all of them (PS3.3
            // C.17.3).
            let what = "and an answer about one of them would be taken for all: send single frames";
            return Err(format!("{uid} has {} frames, {what}", read.frames()).into());
        }
        let frame = read.frame(0)?;
        let (pixels, shown, notes) = (frame.stored().sha256_hex()?, frame.rgb()?, frame.notes().to_vec());
        let found = self.classifier.classify(shown.view(), self.task.as_deref())?;
        let object = dicom_object::from_reader(file)?;
        let answered = Answered { object, shown, found, notes };
        let mut line: serde_json::Value = serde_json::from_str(&answered.found.record(&pixels, &answered.notes)?)?;
        line["image"] = uid.into();
        Ok([report::file(&answered)?, capture::file(&answered)?, line.to_string().into_bytes()])
    }
}

/// Lets an image come again that the disk did not take.
pub fn not_written(queue: &Queue, stage: Stage, waiting: Waiting, error: &dyn std::error::Error) {
    let text = format!("{}: tried again in {} s: {error}", waiting.uid, DISK.as_secs());
    queue.counts.error(&text);
    said("not written", &text);
    queue.later(stage, waiting, DISK);
}
