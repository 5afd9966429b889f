//! From an accepted image to its results, sent.

use std::sync::Arc;
use std::time::Duration;

use dicom_object::DefaultDicomObject;
use medforge_runtime::classify::{Classification, Classifier};
use medforge_runtime::dicom;
use medforge_runtime::image::RgbImage8;

use crate::queue::Queue;
use crate::{Args, Result, capture, report, send};

/// Takes images from the queue, one after another.
pub struct Worker {
    pub queue: Arc<Queue>,
    pub classifier: Arc<Classifier>,
    pub args: Arc<Args>,
}

/// What is known of an image when its results are written.
pub struct Answered {
    pub object: DefaultDicomObject,
    pub shown: RgbImage8,
    pub found: Classification,
}

impl Worker {
    /// Works until the program ends.
    pub fn run(&self) {
        loop {
            let uid = self.queue.take();
            let again = match self.one(&uid) {
                Ok(()) => None,
                Err(error) => {
                    eprintln!("{uid}: tried again in a second: {error}");
                    Some(Duration::from_secs(1))
                }
            };
            self.queue.release(&uid, again);
        }
    }

    fn one(&self, uid: &str) -> Result<()> {
        let queue = &self.queue;
        if queue.path("done", uid, "json").exists() {
            // Stopped between the mark and the end of cleaning up.
            for path in [
                queue.path("results", uid, "sr.dcm"),
                queue.path("results", uid, "sc.dcm"),
                queue.path("accepted", uid, "dcm"),
            ] {
                if path.exists() {
                    std::fs::remove_file(path)?;
                }
            }
            return Ok(());
        }
        if !queue.path("results", uid, "json").exists() {
            let file = std::fs::read(queue.path("accepted", uid, "dcm"))?;
            let answered = match self.answer(&file, uid) {
                Ok(answered) => answered,
                Err(error) => return queue.fail(uid, &error.to_string()),
            };
            let (pixels, answered) = answered;
            queue.write("results", uid, "sr.dcm", &report::file(&answered)?)?;
            queue.write("results", uid, "sc.dcm", &capture::file(&answered)?)?;
            let mut line: serde_json::Value = serde_json::from_str(&answered.found.record(&pixels)?)?;
            line["image"] = uid.into();
            queue.write("results", uid, "json", line.to_string().as_bytes())?;
        }
        let files = ["sr.dcm", "sc.dcm"].map(|ending| queue.path("results", uid, ending));
        send::store(&self.args.to, &self.args.title, &self.args.to_title, &[&files[0], &files[1]])?;
        queue.finish(uid)
    }

    /// The digest of the pixels, and what was found in them.
    fn answer(&self, file: &[u8], uid: &str) -> Result<(String, Answered)> {
        let frame = dicom::read(file, uid)?.frame(0)?;
        let (pixels, shown) = (frame.stored().sha256_hex()?, frame.rgb()?);
        let found = self.classifier.classify(shown.view(), self.args.task.as_deref())?;
        let object = dicom_object::from_reader(file)?;
        Ok((pixels, Answered { object, shown, found }))
    }
}
