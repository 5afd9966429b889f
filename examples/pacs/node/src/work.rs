//! From an accepted image to its results.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use medforge_runtime::classify::Classifier;
use medforge_runtime::dicom;

use crate::answered::Answered;
use crate::counts::count;
use crate::log::said;
use crate::queue::{Queue, Stage, Waiting};
use crate::{Result, capture, guarded, report};

/// Takes images from the queue and classifies them, one after another.
pub struct Worker {
    pub queue: Arc<Queue>,
    pub classifier: Arc<Classifier>,
    pub task: Option<String>,
    /// Whether it also takes what was tried in vain before. One does, so that the others stay free.
    pub retries: bool,
}

/// What comes after an image's turn.
enum Next {
    Send,
    /// It is done, or in `failed/`.
    Nothing,
    /// Its file could not be read.
    Unread(std::io::Error),
}

/// How long a thread waits for an image before it looks around.
pub const WAIT: Duration = Duration::from_secs(60);
/// How long until an image is tried again that the disk did not take.
const DISK: Duration = Duration::from_secs(3);
/// How often a file that cannot be read is tried: again after 3, 6, 12, 24 and 48 seconds.
const READS: u32 = 6;

impl Worker {
    /// Classifies until the program ends.
    pub fn classify(&self) {
        loop {
            let Some(waiting) = self.queue.next(Stage::Classify, self.retries, WAIT) else {
                continue;
            };
            match guarded(|| self.results(&waiting.uid)) {
                Ok(Next::Nothing) => self.queue.left(Stage::Classify, &waiting),
                Ok(Next::Send) => self.queue.pass_on(Stage::Classify, Stage::Send, waiting),
                Ok(Next::Unread(error)) => {
                    let why = format!("its file in accepted/ cannot be read: {error}");
                    not_read(&self.queue, Stage::Classify, waiting, &error, |uid| {
                        self.queue.fail(uid, &why)
                    });
                }
                Err(error) => {
                    not_written(&self.queue, Stage::Classify, waiting, &*error);
                    // The disk is as full for the next one.
                    std::thread::sleep(Duration::from_secs(1));
                }
            }
        }
    }

    /// Writes an image's results, unless they are there.
    fn results(&self, uid: &str) -> Result<Next> {
        let queue = &self.queue;
        if queue.path("done", uid, "json").exists() {
            // Stopped between the mark and the end of cleaning up.
            queue.clean(uid)?;
            return Ok(Next::Nothing);
        }
        if queue.going_aside(uid) {
            return queue.go_aside(uid).map(|()| Next::Nothing);
        }
        if !queue.has_results(uid) {
            let file = match std::fs::read(queue.path("accepted", uid, "dcm")) {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    return queue
                        .fail(uid, "somebody removed its file from accepted/")
                        .map(|()| Next::Nothing);
                }
                Err(error) => return Ok(Next::Unread(error)),
                Ok(file) => file,
            };
            let [report, capture, line] = match guarded(|| self.answer(&file, uid)) {
                Ok(results) => results,
                Err(error) => {
                    queue.counts.error(&format!("{uid}: not classified: {error}"));
                    said(
                        "not classified",
                        &format!("{uid}: not classified, and in failed/: {error}"),
                    );
                    return queue.fail(uid, &error.to_string()).map(|()| Next::Nothing);
                }
            };
            queue.write_results(uid, &report, &capture, &line)?;
            count(&queue.counts.classified);
        }
        Ok(Next::Send)
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
        let (pixels, shown, notes) =
            (frame.stored().sha256_hex()?, frame.rgb()?, frame.notes().to_vec());
        let found = self.classifier.classify(shown.view(), self.task.as_deref())?;
        let object = dicom_object::from_reader(file)?;
        let answered = Answered { object, shown, found, notes };
        let mut line: serde_json::Value =
            serde_json::from_str(&answered.found.record(&pixels, &answered.notes)?)?;
        line["image"] = uid.into();
        Ok([report::file(&answered)?, capture::file(&answered)?, line.to_string().into_bytes()])
    }
}

/// Lets an image whose files cannot be read come again, each time later, and gives up at last. A
/// program without a free handle is not the image's fault.
pub fn not_read(
    queue: &Queue,
    stage: Stage,
    mut waiting: Waiting,
    error: &std::io::Error,
    give_up: impl FnOnce(&str) -> Result<()>,
) {
    // ENFILE and EMFILE.
    if cfg!(unix) && matches!(error.raw_os_error(), Some(23 | 24)) {
        return not_written(queue, stage, waiting, error);
    }
    let pause = DISK * (1 << waiting.tries.unread.min(READS));
    waiting.tries.unread += 1;
    let text = format!("{}: not read: {error}", waiting.uid);
    queue.counts.error(&text);
    said("not read", &text);
    if waiting.tries.unread < READS {
        return queue.later(stage, waiting, pause);
    }
    match give_up(&waiting.uid) {
        Ok(()) => queue.left(stage, &waiting),
        Err(error) => not_written(queue, stage, waiting, &*error),
    }
}

/// Lets an image come again that the disk did not take.
pub fn not_written(
    queue: &Queue,
    stage: Stage,
    mut waiting: Waiting,
    error: &dyn std::error::Error,
) {
    let text = format!("{}: tried again in {} s: {error}", waiting.uid, DISK.as_secs());
    queue.counts.error(&text);
    said("not written", &text);
    waiting.tries.unwritten += 1;
    queue.later(stage, waiting, DISK);
}
