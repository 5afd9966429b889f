//! From an image over the wire to its results, with a bundle.

use std::sync::Arc;
use std::time::SystemTime;

use medforge_runtime::bundle::{self, Bytes, Trust};
use medforge_runtime::classify::Classifier;

use super::peers::*;
use crate::queue::{Stage, Waiting};
use crate::work::{Worker, not_read};

fn worker(node: &Node) {
    let trust =
        Trust::read(&std::fs::read(repository("tests/corpus/trust.toml")).unwrap()).unwrap();
    let bytes = Bytes::read(&repository("tests/corpus/good.medforge")).unwrap();
    let classifier = Classifier::load(bundle::verify(bytes, &trust).unwrap()).unwrap();
    let worker = Worker {
        queue: node.queue().clone(),
        classifier: Arc::new(classifier),
        task: None,
        retries: true,
    };
    std::thread::spawn(move || worker.classify());
}

#[test]
fn an_image_gets_results_and_one_that_cannot_be_read_a_reason() {
    let node = Node::new();
    let mut socket = node.associate();
    let mut unreadable = picture("1.2.2", 0);
    unreadable.remove_element(dicom_dictionary_std::tags::PIXEL_DATA);
    assert_eq!(store(&mut socket, "1.2.2", &bytes(&unreadable)), 0);
    assert_eq!(store(&mut socket, "1.2.1", &image("1.2.1", 0)), 0);
    worker(&node);
    wait("results", || node.files("results") == ["1.2.1.json", "1.2.1.sc.dcm", "1.2.1.sr.dcm"]);
    wait("a reason", || node.files("failed") == ["1.2.2.dcm", "1.2.2.json"]);
    let line = std::fs::read(node.queue().path("results", "1.2.1", "json")).unwrap();
    let line: serde_json::Value = serde_json::from_slice(&line).unwrap();
    assert_eq!(
        (line["image"].as_str(), line["pixels_sha256"].as_str().map(str::len)),
        (Some("1.2.1"), Some(64))
    );
}

#[test]
fn results_that_cannot_be_written_are_written_when_they_can() {
    let node = Node::new();
    let (folder, away) = (node.place.path().join("queue/results"), node.place.path().join("away"));
    std::fs::rename(&folder, &away).unwrap();
    for uid in ["1.2.1", "1.2.2"] {
        assert_eq!(store(&mut node.associate(), uid, &image(uid, 0)), 0);
    }
    worker(&node);
    wait("a try", || node.queue().lengths().0.later > 0);
    std::fs::rename(&away, &folder).unwrap();
    wait("results", || ["1.2.1", "1.2.2"].iter().all(|uid| node.queue().has_results(uid)));
    assert!(node.files("failed").is_empty());
}

/// A folder in a file's place cannot be read.
#[cfg(unix)]
#[test]
fn a_file_that_cannot_be_read_comes_again_ever_later_and_holds_up_no_other() {
    let node = Node::new();
    for number in 0..40 {
        let uid = format!("1.1.{number}");
        std::fs::create_dir(node.queue().path("accepted", &uid, "dcm")).unwrap();
        node.queue().put(Stage::Classify, Waiting::new(uid, SystemTime::now()));
    }
    assert_eq!(store(&mut node.associate(), "1.2.1", &image("1.2.1", 0)), 0);
    worker(&node);
    wait("results", || node.queue().has_results("1.2.1"));
    // One of them may be tried again just now.
    wait("the others", || node.queue().lengths().0.later == 40);
    // The last of its tries, of one that the worker does not know.
    std::fs::create_dir(node.queue().path("accepted", "1.3.1", "dcm")).unwrap();
    let (mut waiting, error) =
        (Waiting::new("1.3.1".into(), SystemTime::now()), std::io::Error::other("bad sector"));
    waiting.tries.unread = 5;
    not_read(node.queue(), Stage::Classify, waiting, &error, |uid| {
        node.queue().fail(uid, "bad sector")
    });
    let line = std::fs::read_to_string(node.queue().path("failed", "1.3.1", "json")).unwrap();
    assert!(line.contains("bad sector"), "{line}");
    // For want of a handle none is given up.
    let mut waiting = Waiting::new("1.3.2".into(), SystemTime::now());
    waiting.tries.unread = 5;
    let error = std::io::Error::from_raw_os_error(24);
    not_read(node.queue(), Stage::Classify, waiting, &error, |_| panic!("given up"));
}
