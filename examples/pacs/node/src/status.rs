//! How the node is: a file in the queue's folder, and an address to ask.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use medforge_runtime::classify::Classifier;
use serde_json::{Value, json};

use crate::log::{cut, said};
use crate::question::{Asked, Question, asked};
use crate::receive::Receiver;
use crate::{Result, guarded};

/// What a status is made of.
#[derive(Clone)]
pub struct Status {
    receiver: Arc<Receiver>,
    classifier: Option<Arc<Classifier>>,
    /// What failed is being put in line again.
    retrying: Arc<AtomicBool>,
}

impl Status {
    pub fn new(receiver: Arc<Receiver>, classifier: Option<Arc<Classifier>>) -> Self {
        Status { receiver, classifier, retrying: Arc::default() }
    }

    /// The state of now.
    pub fn json(&self) -> Value {
        let queue = &self.receiver.queue;
        let (to_classify, to_send, failed) = queue.lengths();
        let oldest = [to_classify.oldest, to_send.oldest].into_iter().flatten().min();
        let age = oldest.map_or(Duration::ZERO, |oldest| {
            SystemTime::now().duration_since(oldest).unwrap_or_default()
        });
        let counts = &queue.counts;
        let since_start = [
            ("accepted", &counts.accepted),
            ("known", &counts.known),
            ("not_taken", &counts.not_taken),
            ("turned_away", &counts.turned_away),
            ("classified", &counts.classified),
            ("sent", &counts.sent),
            ("refused", &counts.refused),
        ];
        let since_start = since_start
            .map(|(name, counter)| (name.to_owned(), counter.load(Ordering::Relaxed).into()));
        let last = counts.last();
        let bundle = self
            .classifier
            .as_ref()
            .and_then(|one| one.active().bundles().next().map(str::to_owned));
        json!({
            "to_classify": to_classify.waiting + to_classify.later,
            "to_send": to_send.waiting,
            "set_aside": to_send.later,
            "failed": failed,
            "oldest_s": age.as_secs(),
            "last_error": last.map(|(at, text)| json!({ "at": at.to_string(), "text": text })),
            "associations": self.receiver.open.load(Ordering::Relaxed),
            "bundle": bundle,
            "since_start": serde_json::Map::from_iter(since_start),
        })
    }

    /// Writes the state into the queue's folder whenever it changes, at most once a second.
    pub fn write(&self) {
        let mut last = Value::Null;
        loop {
            let now = self.json();
            if now != last {
                match self.receiver.queue.write_status(&now.to_string()) {
                    Ok(()) => last = now,
                    Err(error) => said("status", &format!("status.json was not written: {error}")),
                }
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    }

    /// Answers whoever asks at an address, one after the other. What takes long runs beside it.
    pub fn answer(&self, listener: &TcpListener) {
        loop {
            let answered = listener
                .accept()
                .map_err(Into::into)
                .and_then(|(socket, _)| self.answer_one(socket));
            if let Err(error) = answered {
                said("status", &format!("a question about the status was not answered: {error}"));
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }

    fn answer_one(&self, socket: TcpStream) -> Result<()> {
        let mut question = Question::new(socket);
        match asked(&question.head()?) {
            Asked::State => question.answer("200 OK", &self.json()),
            Asked::Refused(code) => question.answer(
                code,
                &json!({ "error": "ask with GET / or POST /retry, and not from a page" }),
            ),
            Asked::Retry if self.retrying.swap(true, Ordering::Relaxed) => question.answer(
                "409 Conflict",
                &json!({ "error": "this was asked for, and is being done" }),
            ),
            // It may take a while, and the state is asked for meanwhile.
            Asked::Retry => {
                let status = self.clone();
                let retry = move || {
                    let retried = guarded(|| Ok(status.receiver.queue.retry_failed()));
                    status.retrying.store(false, Ordering::Relaxed);
                    question.takes_long();
                    let _ = match retried {
                        Ok((images, left)) => {
                            question.answer("200 OK", &json!({ "retried": images, "left": left }))
                        }
                        Err(error) => {
                            let error = cut(&error.to_string());
                            question.answer("500 Internal Server Error", &json!({ "error": error }))
                        }
                    };
                };
                let started = std::thread::Builder::new().name("retry".into()).spawn(retry);
                started.inspect_err(|_| self.retrying.store(false, Ordering::Relaxed))?;
                Ok(())
            }
        }
    }
}
