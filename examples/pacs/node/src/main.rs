//! A DICOM node: takes images by C-STORE, classifies them with a MedForge bundle, and sends a structured report and a secondary capture on.
//!
//! An image is answered with success once it is on the disk, flushed; from then on it is never lost: whatever happens, it ends in `done/` with its results
//! sent, or in `failed/` with the reason. Results are on the disk before they are sent, under identifiers that follow from image and device, so that
//! sending them again after a stop makes no second ones. When the file of the bundle is replaced, the next image is classified by the new one.

mod capture;
mod code;
mod queue;
mod report;
mod scp;
mod send;
mod work;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use clap::Parser;
use medforge_runtime::bundle::{self, Bytes, Trust};
use medforge_runtime::classify::Classifier;

use queue::Queue;
use work::Worker;

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Classifies what it is sent by C-STORE, and sends results on
#[derive(Parser)]
#[command(
    version,
    after_help = "Example:\n  medforge-pacs-node --bundle breast.medforge --trust k.pub --queue queue --to 127.0.0.1:4242 --to-title ORTHANC"
)]
pub struct Args {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:11112")]
    listen: String,
    /// The application entity title of this node
    #[arg(long, default_value = "MEDFORGE")]
    title: String,
    /// The bundle; when the file is replaced, the node goes on with the new one
    #[arg(long, value_name = "FILE")]
    bundle: PathBuf,
    /// Whom to trust: keys in PEM, or a trust file
    #[arg(long, value_name = "FILE")]
    trust: PathBuf,
    /// The task, if the bundle has several
    #[arg(long)]
    task: Option<String>,
    /// Where images wait and results are kept
    #[arg(long, value_name = "DIR")]
    queue: PathBuf,
    /// Where results are sent
    #[arg(long, value_name = "ADDRESS")]
    to: String,
    /// The application entity title that results are sent to
    #[arg(long, default_value = "ORTHANC")]
    to_title: String,
    /// Images that are classified at the same time
    #[arg(long, default_value_t = 2)]
    workers: usize,
}

/// Associations that results go over at the same time: an archive's answer can take its system 40 ms to send (Nagle's algorithm, delayed
/// acknowledgements), in which the others go on.
const SENDERS: usize = 4;

fn main() -> Result<()> {
    let args = Arc::new(Args::parse());
    let trust = Trust::read(&std::fs::read(&args.trust)?)?;
    let replaced = modified(&args.bundle);
    let classifier = Arc::new(Classifier::load(bundle::verify(Bytes::read_on_two_threads(&args.bundle)?, &trust)?)?);
    let queue = Arc::new(Queue::open(&args.queue)?);
    let listener = TcpListener::bind(&args.listen)?;
    println!("listening on {} as {}", listener.local_addr()?, args.title);
    let worker = || Worker { queue: queue.clone(), classifier: classifier.clone(), args: args.clone() };
    for _ in 0..args.workers.max(1) {
        let worker = worker();
        std::thread::spawn(move || worker.classify());
    }
    for _ in 0..SENDERS {
        let worker = worker();
        std::thread::spawn(move || worker.send());
    }
    let watched = args.clone();
    std::thread::spawn(move || watch(&watched.bundle, &trust, &classifier, replaced));
    for stream in listener.incoming() {
        let (queue, title) = (queue.clone(), args.title.clone());
        match stream {
            Ok(stream) => drop(std::thread::spawn(move || {
                if let Err(error) = scp::serve(stream, &title, &queue) {
                    eprintln!("an association ended: {error}");
                }
            })),
            Err(error) => eprintln!("a connection failed: {error}"),
        }
    }
    Ok(())
}

/// Goes on with another bundle whenever the file is replaced. A bundle that is refused changes nothing.
fn watch(path: &Path, trust: &Trust, classifier: &Classifier, mut seen: Option<SystemTime>) {
    loop {
        std::thread::sleep(Duration::from_millis(200));
        let now = modified(path);
        if now == seen || now.is_none() {
            continue;
        }
        seen = now;
        let replaced = || -> Result<String> {
            let bundle = bundle::verify(Bytes::read(path)?, trust)?;
            let id = bundle.id().to_owned();
            classifier.replace(bundle)?;
            Ok(id)
        };
        match replaced() {
            Ok(id) => println!("bundle {id}"),
            Err(error) => eprintln!("the bundle stays as it was: {error}"),
        }
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}
