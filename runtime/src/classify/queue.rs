//! A queue in front of a classifier: images come in from any thread, wait in a line of bounded
//! length, and are classified one by one by threads of the queue's own.
//!
//! Requests are not gathered into batches: a batch was measured to be no faster an image than
//! images one after another.

use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::{Cancel, Classification, Classifier, Selection};
use crate::Error;
use crate::image::RgbImage8;

/// Threads that classify what is put in line. Dropping it classifies what is in line and ends them.
pub struct Queue {
    classifier: Arc<Classifier>,
    line: Option<SyncSender<Job>>,
    workers: Vec<JoinHandle<()>>,
}

/// An image to classify, as [`Classifier::classify_with`] does it.
pub struct Request {
    /// The image.
    pub image: RgbImage8,
    /// May be left out as in [`Classifier::classify`].
    pub task: Option<String>,
    /// What it runs with; a default is the one of the moment when it is taken out of the line.
    pub selection: Selection,
    /// A request that was cancelled while it waited is answered without being looked at.
    pub cancel: Cancel,
}

struct Job {
    request: Request,
    answer: SyncSender<Result<Classification, Error>>,
}

/// The place in line of a request. Dropping it gives up the result, not the place.
pub struct Ticket(Receiver<Result<Classification, Error>>);

impl Queue {
    /// A line of at most `waiting` requests beside those that `workers` threads are at. With
    /// several of them the classifier should run on its caller's threads
    /// ([`Threads::Caller`](super::Threads)).
    ///
    /// # Errors
    /// [`Error::Device`] if the threads cannot be started.
    pub fn new(
        classifier: Arc<Classifier>,
        workers: NonZeroUsize,
        waiting: usize,
    ) -> Result<Self, Error> {
        let (line, requests) = sync_channel(waiting);
        let requests = Arc::new(Mutex::new(requests));
        let mut queue =
            Queue { classifier: classifier.clone(), line: Some(line), workers: Vec::new() };
        for number in 0..workers.get() {
            let (classifier, requests) = (classifier.clone(), requests.clone());
            let work = move || while one(&classifier, &requests).is_some() {};
            let thread =
                std::thread::Builder::new().name(format!("medforge-queue-{number}")).spawn(work);
            queue.workers.push(
                thread.map_err(|error| Error::Device { what: format!("no threads: {error}") })?,
            );
        }
        Ok(queue)
    }

    /// Puts `request` in line; waits while the line is full.
    ///
    /// # Errors
    /// [`Error::Device`] if the threads have ended, which they do not by themselves;
    /// [`Error::OtherProcess`].
    pub fn submit(&self, request: Request) -> Result<Ticket, Error> {
        self.classifier.check_process()?;
        let (answer, ticket) = sync_channel(1);
        let line = self.line.as_ref().ok_or_else(ended)?;
        line.send(Job { request, answer }).map_err(|_| ended())?;
        Ok(Ticket(ticket))
    }

    /// Puts `request` in line, or gives it back where the line is full.
    ///
    /// # Errors
    /// As [`submit`](Self::submit).
    pub fn try_submit(&self, request: Request) -> Result<Result<Ticket, Request>, Error> {
        self.classifier.check_process()?;
        let (answer, ticket) = sync_channel(1);
        let line = self.line.as_ref().ok_or_else(ended)?;
        match line.try_send(Job { request, answer }) {
            Ok(()) => Ok(Ok(Ticket(ticket))),
            Err(TrySendError::Full(job)) => Ok(Err(job.request)),
            Err(TrySendError::Disconnected(_)) => Err(ended()),
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        if self.classifier.check_process().is_err() {
            // The threads are another process's.
            std::mem::forget((self.line.take(), std::mem::take(&mut self.workers)));
            return;
        }
        self.line = None;
        for worker in self.workers.drain(..) {
            // A worker that panicked has nothing more to say.
            let _ = worker.join();
        }
    }
}

impl Ticket {
    /// Waits for the result.
    ///
    /// # Errors
    /// As [`Classifier::classify_with`].
    pub fn wait(self) -> Result<Classification, Error> {
        self.0.recv().unwrap_or_else(|_| Err(ended()))
    }
}

/// Answers the next request; none when no more can come.
fn one(classifier: &Classifier, requests: &Mutex<Receiver<Job>>) -> Option<()> {
    let next = requests.lock().unwrap_or_else(PoisonError::into_inner).recv();
    let Job { request, answer } = next.ok()?;
    let Request { image, task, selection, cancel } = request;
    let result = if cancel.asked() {
        Err(Error::Cancelled)
    } else {
        classifier.classify_with(image.view(), task.as_deref(), &selection, &cancel)
    };
    // Nobody may be waiting any more.
    let _ = answer.send(result);
    Some(())
}

fn ended() -> Error {
    Error::Device { what: "the queue has ended".into() }
}
