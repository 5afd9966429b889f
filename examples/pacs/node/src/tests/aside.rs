//! Results that were put aside, the status that tells of them, and their way back.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

use super::fake::{Fake, archive_at, couriers, listener, results};
use super::peers::*;
use crate::queue::{Queue, Stage};
use crate::status::Status;

/// What the node's status address answers. Who is too slow for it, on a busy machine, asks again.
fn asked(address: SocketAddr, request: &str) -> Value {
    let mut answer = None;
    wait("an answer about the status", || {
        answer = asked_once(address, request);
        answer.is_some()
    });
    answer.unwrap()
}

fn asked_once(address: SocketAddr, request: &str) -> Option<Value> {
    let mut socket = TcpStream::connect(address).unwrap();
    let whole = format!("{request} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    socket.write_all(whole.as_bytes()).ok()?;
    socket.shutdown(Shutdown::Write).ok()?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).ok()?;
    Some(serde_json::from_str(answer.split_once("\r\n\r\n")?.1).unwrap())
}

/// The status once so many results were sent and nothing is in line to be sent any more.
fn settled(address: SocketAddr, sent: u64) -> Value {
    let mut state = Value::Null;
    wait("the line to be empty", || {
        state = asked(address, "GET /");
        state["to_send"] == 0 && state["set_aside"] == 0 && state["since_start"]["sent"] == sent
    });
    state
}

/// The retried images' results are there, and a classifier would find them: here they go on to be
/// sent.
fn pass_on(queue: &Queue) {
    while let Some(waiting) = queue.next(Stage::Classify, true, Duration::from_millis(100)) {
        assert!(queue.path("results", &waiting.uid, "json").exists());
        queue.pass_on(Stage::Classify, Stage::Send, waiting);
    }
}

#[test]
fn a_refused_result_holds_up_no_other_and_comes_back_on_request() {
    let (node, fake) = (Node::new(), Fake::start(listener(), None));
    let question = listener();
    let status_address = question.local_addr().unwrap();
    let status = Status::new(node.receiver.clone(), None);
    std::thread::spawn(move || status.answer(&question));
    fake.answer("1.2.5.", 0xa900);
    (0..38).for_each(|number| results(node.queue(), &format!("1.2.{number}")));
    couriers(node.queue(), &archive_at(fake.address));
    let state = settled(status_address, 37);
    assert_eq!(node.files("done").len(), 37);
    assert_eq!(node.files("failed"), ["1.2.5.dcm", "1.2.5.json", "1.2.5.sc.dcm", "1.2.5.sr.dcm"]);
    assert!(node.files("results").is_empty() && node.files("accepted").is_empty());
    let why = std::fs::read_to_string(node.queue().path("failed", "1.2.5", "json")).unwrap();
    assert!(why.contains("0xa900"), "{why}");
    assert_eq!((&state["failed"], &state["to_classify"]), (&1.into(), &0.into()));
    assert_eq!(state["since_start"]["refused"], 3);
    assert!(state["last_error"]["text"].as_str().unwrap().contains("0xa900"), "{state}");
    assert!(state["last_error"]["at"].as_str().unwrap().contains('T'), "{state}");

    fake.answer("1.2.5.", 0);
    assert_eq!(asked(status_address, "POST /retry")["retried"], 1);
    pass_on(node.queue());
    settled(status_address, 38);
    assert_eq!(node.files("done").len(), 38);
    assert!(node.files("failed").is_empty() && node.files("results").is_empty());
    assert_eq!(asked(status_address, "GET /status")["failed"], 0);
    let line = std::fs::read_to_string(node.queue().path("done", "1.2.5", "json")).unwrap();
    assert!(!line.contains("error"), "{line}");
    assert_eq!(fake.arrived(), 2 * 38, "each result came once");
}

#[test]
fn a_status_that_trickles_and_one_that_takes_long_keep_no_other_waiting() {
    let node = Node::new();
    let question = listener();
    let address = question.local_addr().unwrap();
    let status = Status::new(node.receiver.clone(), None);
    std::thread::spawn(move || status.answer(&question));
    let mut slow = TcpStream::connect(address).unwrap();
    let head = format!("GET / HTTP/1.1\r\nHost: {address}\r\n\r\n");
    slow.write_all(head.as_bytes()).unwrap();
    let trickling = std::thread::spawn(move || {
        let trickle = (0..1000).take_while(|_| slow.write_all(b"x").is_ok());
        trickle.inspect(|_| std::thread::sleep(Duration::from_millis(50))).count()
    });
    assert_eq!(asked(address, "GET /")["failed"], 0);
    // It would have gone on for 50 seconds.
    assert!(trickling.join().unwrap() < 1000, "it was not cut off");
    // As long as nothing may come in, nothing comes back from failed/ either.
    results(node.queue(), "1.2.5");
    node.queue().refuse("1.2.5", "for a test").unwrap();
    let held = node.queue().hold();
    let (said, heard) = std::sync::mpsc::channel();
    for said in [said.clone(), said] {
        std::thread::spawn(move || said.send(asked(address, "POST /retry")));
    }
    let second = heard.recv_timeout(Duration::from_secs(60)).unwrap();
    assert!(second["error"].is_string(), "{second}");
    assert_eq!(asked(address, "GET /")["failed"], 1);
    drop(held);
    assert_eq!(heard.recv_timeout(Duration::from_secs(60)).unwrap()["retried"], 1);
}

#[test]
fn what_a_stop_leaves_between_two_folders_goes_back_in_line() {
    let place = tempfile::tempdir().unwrap();
    let queue = Queue::open(place.path()).unwrap();
    // As far as each step of being put aside.
    for (number, moved) in [&[][..], &["sr.dcm"], &["sr.dcm", "sc.dcm"]].into_iter().enumerate() {
        let uid = format!("1.2.{number}");
        results(&queue, &uid);
        let line = serde_json::json!({ "image": uid, "pixels_sha256": "00", "error": "refused" })
            .to_string();
        queue.write("failed", &uid, "json", line.as_bytes()).unwrap();
        for ending in moved {
            std::fs::rename(
                queue.path("results", &uid, ending),
                queue.path("failed", &uid, ending),
            )
            .unwrap();
        }
        if moved.len() == 2 {
            std::fs::remove_file(queue.path("results", &uid, "json")).unwrap();
        }
    }
    drop(queue);
    let queue = Queue::open(place.path()).unwrap();
    assert!(names(&place.path().join("failed")).is_empty());
    assert_eq!(names(&place.path().join("results")).len(), 9);
    let (to_classify, _, failed) = queue.lengths();
    assert_eq!((to_classify.waiting, failed), (3, 0));
    pass_on(&queue);
}

#[test]
fn a_retry_while_results_are_put_aside_leaves_them_whole() {
    let node = Node::new();
    for round in 0..50 {
        let uid = format!("1.2.{round}");
        results(node.queue(), &uid);
        std::thread::scope(|scope| {
            scope.spawn(|| node.queue().refuse(&uid, "for a test").unwrap());
            scope.spawn(|| node.queue().retry_failed());
        });
        let there = |folder, endings: &[&str]| {
            endings.iter().all(|ending| node.queue().path(folder, &uid, ending).exists())
        };
        let aside = there("failed", &["json", "dcm", "sr.dcm", "sc.dcm"]);
        let back = there("accepted", &["dcm"]) && there("results", &["json", "sr.dcm", "sc.dcm"]);
        assert!(
            aside != back,
            "{:?} {:?} {:?}",
            node.files("failed"),
            node.files("accepted"),
            node.files("results")
        );
    }
    assert_eq!(node.files("failed").len(), node.queue().lengths().2 * 4);
}
