//! Sends results to an archive. What the archive refuses or breaks off at comes again later, and
//! holds up nothing else.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::counts::count;
use crate::log::{once, said};
use crate::queue::{Queue, Stage, Waiting};
use crate::send::{Archive, Store};
use crate::work::{WAIT, not_read, not_written};
use crate::{Error, Result, guarded};

/// How often and how soon results are tried again if the archive did not take them.
#[derive(Clone, Copy)]
pub struct Patience {
    /// The pause after the first time; it doubles up to the last one.
    pub first: Duration,
    pub last: Duration,
    /// Refusals of one result before it goes to `failed/`.
    pub refusals: u32,
    /// The same where the fault may be the archive's: it broke off, or had no resources.
    pub breaks: u32,
    /// The longest pause before an archive that cannot be reached is tried again. The first pause
    /// is a second.
    pub unreached: Duration,
    /// How long an archive may take to answer for new results, which have others behind them, and
    /// for those that come again.
    pub answer: Duration,
    pub answer_again: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let (first, last) = (Duration::from_secs(1), Duration::from_secs(60));
        let (answer, answer_again) = (Duration::from_secs(3), Duration::from_secs(30));
        Patience {
            first,
            last,
            refusals: 5,
            breaks: 20,
            unreached: Duration::from_secs(4),
            answer,
            answer_again,
        }
    }
}

/// Sends results, one image after another.
pub struct Courier {
    pub queue: Arc<Queue>,
    pub archive: Archive,
    pub patience: Patience,
    /// Whether it also takes what was refused before. One does, so that the others stay free.
    pub retries: bool,
}

/// How long an association stays open for the next image.
const LINGER: Duration = Duration::from_secs(3);

/// A status: the archive has an instance of this identifier (PS3.4, B.2.3). Ours follow from image
/// and device, so it is the same one.
const DUPLICATE: u16 = 0x0111;

/// Why an image's results were not sent.
enum Failure {
    Refused(u16),
    Broken(Error),
    /// A file of theirs is gone: they are made again.
    Gone,
    Unread(std::io::Error),
}

impl Courier {
    /// Sends results until the program ends.
    pub fn send(&self) {
        let mut association: Option<Box<dyn Store>> = None;
        let mut pause = self.patience.first;
        loop {
            let wait = if association.is_some() { LINGER } else { WAIT };
            let Some(waiting) = self.queue.next(Stage::Send, self.retries, wait) else {
                // Nothing depends on how it ends.
                let _ = association.take().map(|open| guarded(|| open.close()));
                continue;
            };
            if self.queue.going_aside(&waiting.uid) {
                self.put_aside(waiting, |queue, uid| queue.go_aside(uid));
                continue;
            }
            let lingered = association.is_some();
            match association.take().map_or_else(|| guarded(|| self.archive.open()), Ok) {
                Ok(open) => {
                    pause = self.patience.first;
                    association = self.send_one(open, lingered, waiting);
                }
                Err(error) => {
                    self.not_reached(waiting, &error);
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(self.patience.unreached);
                }
            }
        }
    }

    /// Sends one image's results, and does what follows from how that went. Gives the association
    /// back while it holds. `lingered` says that it was open before.
    fn send_one(
        &self,
        mut open: Box<dyn Store>,
        lingered: bool,
        waiting: Waiting,
    ) -> Option<Box<dyn Store>> {
        let began = Instant::now();
        match self.sent(&mut *open, &waiting) {
            Ok(()) => self.finished(waiting),
            Err(Failure::Refused(status)) => {
                let why = format!("{} answered {status:#06x}", self.archive.called);
                self.not_sent(waiting, &why, status >> 8 == 0xa7);
            }
            Err(Failure::Broken(error)) => {
                // The archive may have ended it meanwhile: once more, over a new one.
                let early = began.elapsed() < self.patience.answer;
                if lingered && waiting.tries.none() && early {
                    self.queue.back(Stage::Send, waiting);
                } else {
                    self.not_sent(waiting, &format!("it could not be sent: {error}"), true);
                }
                return None;
            }
            Err(Failure::Gone) => self.queue.pass_on(Stage::Send, Stage::Classify, waiting),
            Err(Failure::Unread(error)) => {
                let why = format!("its results cannot be read: {error}");
                not_read(&self.queue, Stage::Send, waiting, &error, |uid| {
                    self.queue.refuse(uid, &why)
                });
            }
        }
        Some(open)
    }

    /// Gives an image its place back: the archive cannot be reached.
    fn not_reached(&self, waiting: Waiting, error: &Error) {
        self.queue.back(Stage::Send, waiting);
        let text = format!("{} at {}: {error}", self.archive.called, self.archive.address);
        self.queue.counts.error(&text);
        said("archive", &text);
    }

    /// Sends an image's results, unless that was done.
    fn sent(&self, open: &mut dyn Store, waiting: &Waiting) -> std::result::Result<(), Failure> {
        let (uid, patience) = (&waiting.uid, &self.patience);
        let answer = if waiting.tries.none() { patience.answer } else { patience.answer_again };
        if self.queue.path("done", uid, "json").exists() {
            return Ok(());
        }
        for ending in ["sr.dcm", "sc.dcm"] {
            let file =
                std::fs::read(self.queue.path("results", uid, ending)).map_err(
                    |error| match error.kind() {
                        ErrorKind::NotFound => Failure::Gone,
                        _ => Failure::Unread(error),
                    },
                )?;
            // Warnings are from 0xB000 on: stored, with something coerced.
            match guarded(|| open.store(&file, answer)).map_err(Failure::Broken)? {
                0 | DUPLICATE | 0xb000..=0xbfff => {}
                status => return Err(Failure::Refused(status)),
            }
        }
        Ok(())
    }

    fn finished(&self, waiting: Waiting) {
        let queue = &self.queue;
        let done = queue.path("done", &waiting.uid, "json").exists();
        let finished = if done { queue.clean(&waiting.uid) } else { queue.finish(&waiting.uid) };
        match finished {
            Ok(()) => {
                count(&queue.counts.sent);
                queue.left(Stage::Send, &waiting);
            }
            Err(error) => not_written(queue, Stage::Send, waiting, &*error),
        }
    }

    /// Lets results come again later. Puts them aside once they were refused, or broken off, often
    /// enough. The log says so the first time and the last.
    fn not_sent(&self, mut waiting: Waiting, why: &str, broken: bool) {
        count(&self.queue.counts.refused);
        let text = format!("{}: results not taken: {why}", waiting.uid);
        self.queue.counts.error(&text);
        let first = waiting.tries.none();
        let before = waiting.tries.refused + waiting.tries.broken;
        let (tries, most) = if broken {
            (&mut waiting.tries.broken, self.patience.breaks)
        } else {
            (&mut waiting.tries.refused, self.patience.refusals)
        };
        *tries += 1;
        if *tries >= most {
            once(&format!("{text}; given up after {most} times"));
            return self.put_aside(waiting, |queue, uid| queue.refuse(uid, why));
        }
        if first {
            said("refused", &format!("{text}; tried again up to {most} times"));
        }
        let pause = self.patience.first * (1 << before.min(16));
        self.queue.later(Stage::Send, waiting, pause.min(self.patience.last));
    }

    fn put_aside(&self, waiting: Waiting, how: impl FnOnce(&Queue, &str) -> Result<()>) {
        match how(&self.queue, &waiting.uid) {
            Ok(()) => self.queue.left(Stage::Send, &waiting),
            Err(error) => not_written(&self.queue, Stage::Send, waiting, &*error),
        }
    }
}
