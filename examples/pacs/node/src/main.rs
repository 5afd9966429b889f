//! A DICOM node: takes images by C-STORE, classifies them with a MedForge bundle, and sends a
//! structured report and a secondary capture on.
//!
//! An image is answered with success once it is on the disk, flushed. From then on it is never
//! lost: it ends in `done/` with its results sent, or in `failed/` with the reason. Results are on
//! the disk before they are sent. Their identifiers follow from image and device, so that sending
//! them again after a stop makes no second ones. When the file of the bundle is replaced, the next
//! image is classified by the new one.

#![forbid(unsafe_code)]

mod answered;
mod capture;
mod code;
mod counts;
mod courier;
mod elements;
mod log;
mod options;
mod question;
mod queue;
mod receive;
mod report;
mod send;
mod status;
#[cfg(test)]
mod tests;
mod tls;
mod work;

use std::fmt::Display;
use std::net::{TcpListener, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use clap::Parser;
use medforge_runtime::bundle::{self, Bytes, Trust};
use medforge_runtime::classify::Classifier;

use courier::{Courier, Patience};
use log::{said, told};
use options::Args;
use queue::Queue;
use receive::{Policy, Receiver, Times};
use send::Archive;
use status::Status;
use work::Worker;

pub type Error = Box<dyn std::error::Error + Send + Sync>;
pub type Result<T> = std::result::Result<T, Error>;

/// Associations that results go over at the same time. While an archive keeps one waiting for its
/// answer, the others go on. The first one also takes what comes again, and may wait long.
const SENDERS: usize = 5;

fn main() -> Result<()> {
    let args = Args::parse();
    let listener = listening(&*args.listen)?;
    args.check(listener.local_addr()?)?;
    let asked = args.status.map(listening).transpose()?;
    let own = args.tls_cert.as_deref().zip(args.tls_key.as_deref());
    let own = own.map(|(certificate, key)| tls::Own { certificate, key });
    let receiving =
        own.as_ref().map(|own| tls::server(own, args.tls_clients.as_deref())).transpose()?;
    let sending =
        args.to_tls.as_deref().map(|archive| tls::client(archive, own.as_ref())).transpose()?;
    let trust = Trust::read(&std::fs::read(&args.trust)?)?;
    let replaced = modified(&args.bundle);
    let bytes = Bytes::read_on_two_threads(&args.bundle)?;
    let classifier = Arc::new(Classifier::load(bundle::verify(bytes, &trust)?)?);
    let queue = Arc::new(Queue::open(&args.queue)?);
    if args.retry_failed {
        let (images, left) = queue.retry_failed();
        said(
            "retried",
            &format!("{images} images that had failed are in line again, and {left} are not"),
        );
    }
    // What a thread says when it panics: once, and short, as all else.
    std::panic::set_hook(Box::new(|panic| {
        said("panic", &format!("an error in this program: {panic}"))
    }));
    start_workers(&args, &queue, &classifier);
    start_couriers(&args, &queue, sending);
    let receiver = Arc::new(Receiver {
        queue,
        policy: Policy { title: args.title.clone(), calling: args.calling, allow: args.allow },
        tls: receiving,
        times: Times::new(Duration::from_secs(args.idle)),
        most: args.associations,
        open: AtomicUsize::new(0),
        telling: AtomicUsize::new(0),
    });
    let status = Status::new(receiver.clone(), Some(classifier.clone()));
    if let Some(asked) = asked {
        let status = status.clone();
        std::thread::spawn(move || status.answer(&asked));
    }
    std::thread::spawn(move || status.write());
    std::thread::spawn(move || watch(&args.bundle, &trust, &classifier, replaced));
    told(&format!("listening on {} as {}", listener.local_addr()?, args.title));
    receiver.listen(&listener);
    Ok(())
}

/// A socket that listens at an address.
fn listening(address: impl ToSocketAddrs + Display + Copy) -> Result<TcpListener> {
    Ok(TcpListener::bind(address).map_err(|error| format!("{address}: {error}"))?)
}

/// Starts the threads that classify.
fn start_workers(args: &Args, queue: &Arc<Queue>, classifier: &Arc<Classifier>) {
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    for number in 0..args.workers.unwrap_or(processors + 2).max(1) {
        let (queue, classifier, task) = (queue.clone(), classifier.clone(), args.task.clone());
        let worker = Worker { queue, classifier, task, retries: number == 0 };
        std::thread::spawn(move || worker.classify());
    }
}

/// Starts the threads that send results on.
fn start_couriers(args: &Args, queue: &Arc<Queue>, tls: Option<Arc<rustls::ClientConfig>>) {
    let (address, title, called) = (args.to.clone(), args.title.clone(), args.to_title.clone());
    let archive = Archive { address, title, called, tls };
    for number in 0..SENDERS {
        let (queue, archive, patience) = (queue.clone(), archive.clone(), Patience::default());
        let courier = Courier { queue, archive, patience, retries: number == 0 };
        std::thread::spawn(move || courier.send());
    }
}

/// Goes on with another bundle whenever the file is replaced. A bundle that is refused changes
/// nothing.
fn watch(path: &Path, trust: &Trust, classifier: &Classifier, mut seen: Option<SystemTime>) {
    loop {
        std::thread::sleep(Duration::from_millis(200));
        let now = modified(path);
        if now == seen || now.is_none() {
            continue;
        }
        seen = now;
        let replaced = guarded(|| {
            let bundle = bundle::verify(Bytes::read(path)?, trust)?;
            let id = bundle.id().to_owned();
            classifier.replace(bundle)?;
            Ok(id)
        });
        match replaced {
            Ok(id) => told(&format!("bundle {id}")),
            Err(error) => said("bundle", &format!("the bundle stays as it was: {error}")),
        }
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

/// Runs something, and makes an error of a panic in it, so that no image and no thread is lost.
fn guarded<T>(run: impl FnOnce() -> Result<T>) -> Result<T> {
    let panicked = |_| Err("an error in this program (a panic)".into());
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(panicked)
}

/// A lock, even if a thread panicked with it: what it guards is whole between any two steps.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
