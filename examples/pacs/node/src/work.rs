//! From an accepted image to its results, sent.

use std::sync::Arc;
use std::time::Duration;

use dicom_object::DefaultDicomObject;
use medforge_runtime::classify::{Classification, Classifier};
use medforge_runtime::dicom;
use medforge_runtime::image::RgbImage8;

use crate::queue::{Queue, Stage};
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
    /// What was odd about the file and read all the same.
    pub notes: Vec<String>,
}

/// Images whose results go over one association.
const TOGETHER: usize = 8;

impl Worker {
    /// Classifies until the program ends.
    pub fn classify(&self) {
        loop {
            for uid in self.queue.take(Stage::Classify, 1) {
                match self.results(&uid) {
                    Ok(true) => self.queue.put(Stage::Send, [uid]),
                    Ok(false) => {}
                    Err(error) => self.again(Stage::Classify, vec![uid], &*error),
                }
            }
        }
    }

    /// Sends results until the program ends.
    pub fn send(&self) {
        loop {
            let uids = self.queue.take(Stage::Send, TOGETHER);
            if let Err(error) = self.sent(&uids) {
                self.again(Stage::Send, uids, &*error);
            }
        }
    }

    fn again(&self, stage: Stage, uids: Vec<String>, error: &dyn std::error::Error) {
        eprintln!("{}: tried again in a second: {error}", uids.join(", "));
        std::thread::sleep(Duration::from_secs(1));
        self.queue.put(stage, uids);
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
            let file = std::fs::read(queue.path("accepted", uid, "dcm"))?;
            let (pixels, answered) = match self.answer(&file, uid) {
                Ok(answered) => answered,
                Err(error) => return queue.fail(uid, &error.to_string()).map(|()| false),
            };
            queue.write("results", uid, "sr.dcm", &report::file(&answered)?)?;
            queue.write("results", uid, "sc.dcm", &capture::file(&answered)?)?;
            let mut line: serde_json::Value = serde_json::from_str(&answered.found.record(&pixels, &answered.notes)?)?;
            line["image"] = uid.into();
            queue.write("results", uid, "json", line.to_string().as_bytes())?;
        }
        Ok(true)
    }

    fn sent(&self, uids: &[String]) -> Result<()> {
        // What was sent before an association broke off is finished.
        let unfinished = uids.iter().filter(|uid| !self.queue.path("done", uid, "json").exists());
        let mut association = send::Sender::open(&self.args.to, &self.args.title, &self.args.to_title)?;
        for uid in unfinished {
            association.store(&self.queue.path("results", uid, "sr.dcm"))?;
            association.store(&self.queue.path("results", uid, "sc.dcm"))?;
            self.queue.finish(uid)?;
        }
        association.close()
    }

    /// The digest of the pixels, and what was found in them.
    fn answer(&self, file: &[u8], uid: &str) -> Result<(String, Answered)> {
        let read = dicom::read(file, uid)?;
        if read.frames() != 1 {
            // A report about one frame that does not name it would be about all of them (PS3.3 C.17.3).
            let what = "and an answer about one of them would be taken for all: send single frames";
            return Err(format!("{uid} has {} frames, {what}", read.frames()).into());
        }
        let frame = read.frame(0)?;
        let (pixels, shown, notes) = (frame.stored().sha256_hex()?, frame.rgb()?, frame.notes().to_vec());
        let found = self.classifier.classify(shown.view(), self.args.task.as_deref())?;
        let object = dicom_object::from_reader(file)?;
        Ok((pixels, Answered { object, shown, found, notes }))
    }
}
