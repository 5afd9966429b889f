//! Results against an archive that refuses some, breaks off, or is not there.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use dicom_core::{DataElement, VR, dicom_value};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use dicom_transfer_syntax_registry::entries::IMPLICIT_VR_LITTLE_ENDIAN;
use dicom_ul::Pdu;
use dicom_ul::association::client::CloseSocket;
use dicom_ul::association::{ServerAssociation, ServerAssociationOptions, SyncAssociation};
use dicom_ul::pdu::{PDataValue, PDataValueType};
use rustls::ServerConfig;

use super::peers::*;
use crate::courier::{Courier, Patience};
use crate::elements::Command;
use crate::queue::{Queue, Stage, Waiting};
use crate::send::Archive;
use crate::status::Status;

/// Statuses for instances that contain a text; status 1 breaks the association off, status 2 does
/// so after an answer of success, and at status 3 nothing is said any more.
type Answers = Arc<Mutex<BTreeMap<&'static str, u16>>>;

/// An archive that notes what it stored, and when.
pub struct Fake {
    pub address: SocketAddr,
    pub stored: Arc<Mutex<Vec<(String, Instant)>>>,
    answers: Answers,
}

impl Fake {
    pub fn start(listener: TcpListener, tls: Option<Arc<ServerConfig>>) -> Self {
        let (stored, answers) = (Arc::<Mutex<Vec<_>>>::default(), Answers::default());
        let address = listener.local_addr().unwrap();
        let fake = Fake { address, stored: stored.clone(), answers: answers.clone() };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stored, answers, tls) = (stored.clone(), answers.clone(), tls.clone());
                std::thread::spawn(move || {
                    let options =
                        ServerAssociationOptions::new().promiscuous(true).ae_title("ARCHIVE");
                    match tls {
                        None => options
                            .establish(stream.unwrap())
                            .map(|open| serve(open, &stored, &answers)),
                        Some(tls) => {
                            let options = options.tls_config(tls);
                            options
                                .establish_tls(stream.unwrap())
                                .map(|open| serve(open, &stored, &answers))
                        }
                    }
                });
            }
        });
        fake
    }

    fn answer(&self, instance: &'static str, status: u16) {
        self.answers.lock().unwrap().insert(instance, status);
    }

    fn arrived(&self) -> usize {
        self.stored.lock().unwrap().len()
    }
}

fn serve<S: Read + Write + CloseSocket>(
    mut open: ServerAssociation<S>,
    stored: &Mutex<Vec<(String, Instant)>>,
    answers: &Answers,
) {
    let mut asked = Command::default();
    while let Ok(pdu) = SyncAssociation::receive(&mut open) {
        let Pdu::PData { data } = pdu else {
            let _ = SyncAssociation::send(&mut open, &Pdu::ReleaseRP);
            return;
        };
        for value in data {
            if value.value_type == PDataValueType::Command {
                asked = Command::read(&value.data).unwrap();
            } else if value.is_last {
                let instance = asked.instance.clone().unwrap();
                let found = answers
                    .lock()
                    .unwrap()
                    .iter()
                    .find(|(part, _)| instance.contains(**part))
                    .map(|one| *one.1);
                let (status, ends) = match found {
                    Some(2) => (0, true),
                    found => (found.unwrap_or(0), false),
                };
                match status {
                    1 => return,
                    3 => std::thread::sleep(Duration::from_secs(600)),
                    0 => stored.lock().unwrap().push((instance, Instant::now())),
                    _ => {}
                }
                let answer = InMemDicomObject::command_from_element_iter([
                    DataElement::new(tags::COMMAND_FIELD, VR::US, dicom_value!(U16, [0x8001])),
                    DataElement::new(tags::STATUS, VR::US, dicom_value!(U16, [status])),
                ]);
                let mut data = Vec::new();
                answer
                    .write_dataset_with_ts(&mut data, &IMPLICIT_VR_LITTLE_ENDIAN.erased())
                    .unwrap();
                let presentation_context_id = value.presentation_context_id;
                let (value_type, is_last) = (PDataValueType::Command, true);
                let value = PDataValue { presentation_context_id, value_type, is_last, data };
                SyncAssociation::send(&mut open, &Pdu::PData { data: vec![value] }).unwrap();
                if ends {
                    return;
                }
            }
        }
    }
}

fn part10(class: &str, uid: &str) -> Vec<u8> {
    let object = InMemDicomObject::from_element_iter([
        DataElement::new(tags::SOP_CLASS_UID, VR::UI, dicom_value!(Str, class)),
        DataElement::new(tags::SOP_INSTANCE_UID, VR::UI, dicom_value!(Str, uid)),
    ]);
    let meta = FileMetaTableBuilder::new().transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN);
    let meta = meta.media_storage_sop_class_uid(class).media_storage_sop_instance_uid(uid);
    let mut file = Vec::new();
    object.with_meta(meta).unwrap().write_all(&mut file).unwrap();
    file
}

/// Puts an image with made results in line to be sent.
pub fn results(queue: &Queue, uid: &str) {
    queue.write("accepted", uid, "dcm", &part10(CLASS, uid)).unwrap();
    queue
        .write(
            "results",
            uid,
            "sr.dcm",
            &part10(uids::COMPREHENSIVE3_DSR_STORAGE, &format!("{uid}.1")),
        )
        .unwrap();
    queue.write("results", uid, "sc.dcm", &part10(CLASS, &format!("{uid}.2"))).unwrap();
    let line = serde_json::json!({ "image": uid, "pixels_sha256": "00" }).to_string();
    queue.write("results", uid, "json", line.as_bytes()).unwrap();
    queue.put(Stage::Send, Waiting::new(uid.to_owned(), SystemTime::now()));
}

/// Two couriers that lose patience soon.
pub fn couriers(queue: &Arc<Queue>, archive: &Archive) {
    for retries in [true, false] {
        let patience = Patience {
            first: Duration::from_millis(50),
            last: Duration::from_millis(200),
            refusals: 3,
            breaks: 4,
            unreached: Duration::from_millis(200),
            answer: Duration::from_millis(500),
            answer_again: Duration::from_secs(5),
        };
        let courier = Courier { queue: queue.clone(), archive: archive.clone(), patience, retries };
        std::thread::spawn(move || courier.send());
    }
}

pub fn archive_at(address: SocketAddr) -> Archive {
    Archive {
        address: address.to_string(),
        title: "MEDFORGE".into(),
        called: "ARCHIVE".into(),
        tls: None,
    }
}

fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

/// What the node's status address answers.
fn asked(address: SocketAddr, request: &str) -> serde_json::Value {
    let mut socket = TcpStream::connect(address).unwrap();
    write!(socket, "{request} HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// The retried images' results are there, and a classifier would find them: here they go on to be
/// sent.
fn pass_on(queue: &Queue) {
    while let Some(waiting) = queue.next(Stage::Classify, true, Duration::from_millis(100)) {
        assert!(queue.path("results", &waiting.uid, "json").exists());
        queue.left(Stage::Classify, &waiting);
        queue.put(Stage::Send, waiting);
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
    let start = Instant::now();
    couriers(node.queue(), &archive_at(fake.address));
    wait("all others", || node.files("done").len() == 37);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    wait("the refused one to be set aside", || node.files("failed").len() == 4);
    assert_eq!(node.files("failed"), ["1.2.5.dcm", "1.2.5.json", "1.2.5.sc.dcm", "1.2.5.sr.dcm"]);
    assert!(node.files("results").is_empty() && node.files("accepted").is_empty());
    let why = std::fs::read_to_string(node.queue().path("failed", "1.2.5", "json")).unwrap();
    assert!(why.contains("0xa900"), "{why}");
    wait("the line to be empty", || asked(status_address, "GET /")["to_send"] == 0);
    let state = asked(status_address, "GET /");
    assert_eq!(
        (&state["failed"], &state["set_aside"], &state["to_classify"]),
        (&1.into(), &0.into(), &0.into())
    );
    assert_eq!(
        (&state["since_start"]["sent"], &state["since_start"]["refused"]),
        (&37.into(), &3.into())
    );
    assert!(state["last_error"]["text"].as_str().unwrap().contains("0xa900"), "{state}");
    assert!(state["last_error"]["at"].as_str().unwrap().contains('T'), "{state}");

    fake.answer("1.2.5.", 0);
    assert_eq!(asked(status_address, "POST /retry")["retried"], 1);
    pass_on(node.queue());
    wait("the one that was refused", || node.files("done").len() == 38);
    assert!(node.files("failed").is_empty() && node.files("results").is_empty());
    assert_eq!(asked(status_address, "GET /status")["failed"], 0);
    let line = std::fs::read_to_string(node.queue().path("done", "1.2.5", "json")).unwrap();
    assert!(!line.contains("error"), "{line}");
    assert_eq!(fake.arrived(), 2 * 38, "each result came once");
}

#[test]
fn a_result_that_breaks_the_association_off_holds_up_no_other() {
    let (node, fake) = (Node::new(), Fake::start(listener(), None));
    fake.answer("1.2.0.", 1);
    (0..20).for_each(|number| results(node.queue(), &format!("1.2.{number}")));
    couriers(node.queue(), &archive_at(fake.address));
    wait("all others", || node.files("done").len() == 19);
    wait("the one that breaks off", || node.files("failed").contains(&"1.2.0.json".to_owned()));
    wait("the counters", || node.queue().lengths().2 == 1);
    assert_eq!(node.queue().counts.refused.load(std::sync::atomic::Ordering::Relaxed), 4);
}

/// Four of them: each courier would wait for one.
#[test]
fn an_archive_that_is_silent_about_some_results_keeps_no_other_waiting() {
    let (node, fake) = (Node::new(), Fake::start(listener(), None));
    fake.answer(".77.", 3);
    (0..4).for_each(|number| results(node.queue(), &format!("1.{number}.77")));
    results(node.queue(), "1.2.5");
    let start = Instant::now();
    couriers(node.queue(), &archive_at(fake.address));
    wait("the one that is answered", || node.files("done") == ["1.2.5.json"]);
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    results(node.queue(), "1.2.6");
    wait("another, while one is waited for long", || node.files("done").len() == 2);
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn refusals_and_breaks_are_counted_apart() {
    let (node, fake) = (Node::new(), Fake::start(listener(), None));
    fake.answer("1.2.5.", 0xa700);
    results(node.queue(), "1.2.5");
    couriers(node.queue(), &archive_at(fake.address));
    let refused = || node.queue().counts.refused.load(std::sync::atomic::Ordering::Relaxed);
    wait("three breaks", || refused() == 3);
    fake.answer("1.2.5.", 0xa900);
    wait("the end", || node.files("failed").len() == 4);
    assert_eq!(refused(), 6, "three breaks, of which four end it, and three refusals, which do");
}

#[test]
fn what_the_archive_has_already_is_sent() {
    let (node, fake) = (Node::new(), Fake::start(listener(), None));
    fake.answer("1.2.5.", 0x0111);
    results(node.queue(), "1.2.5");
    couriers(node.queue(), &archive_at(fake.address));
    wait("the end", || node.files("done") == ["1.2.5.json"]);
}

#[test]
fn results_of_which_a_file_is_gone_are_made_again() {
    let (node, fake) = (Node::new(), Fake::start(listener(), None));
    results(node.queue(), "1.2.5");
    std::fs::remove_file(node.queue().path("results", "1.2.5", "sc.dcm")).unwrap();
    couriers(node.queue(), &archive_at(fake.address));
    wait("the classifier's line", || node.queue().lengths().0.waiting == 1);
    assert_eq!((node.queue().lengths().1.waiting, node.queue().has_results("1.2.5")), (0, false));
}

#[test]
fn a_status_that_trickles_and_one_that_takes_long_keep_no_other_waiting() {
    let node = Node::new();
    let question = listener();
    let address = question.local_addr().unwrap();
    let status = Status::new(node.receiver.clone(), None);
    std::thread::spawn(move || status.answer(&question));
    let mut slow = TcpStream::connect(address).unwrap();
    write!(slow, "GET / HTTP/1.1\r\nHost: {address}\r\n\r\n").unwrap();
    let trickling = std::thread::spawn(move || {
        (0..200)
            .take_while(|_| slow.write_all(b"x").is_ok())
            .for_each(|_| std::thread::sleep(Duration::from_millis(50)))
    });
    let start = Instant::now();
    assert_eq!(asked(address, "GET /")["failed"], 0);
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    trickling.join().unwrap();
    // As long as nothing may come in, nothing comes back from failed/ either.
    results(node.queue(), "1.2.5");
    node.queue().refuse("1.2.5", "for a test").unwrap();
    let held = node.queue().hold();
    let (said, heard) = std::sync::mpsc::channel();
    for said in [said.clone(), said] {
        std::thread::spawn(move || said.send(asked(address, "POST /retry")));
    }
    let second = heard.recv_timeout(Duration::from_secs(10)).unwrap();
    assert!(second["error"].is_string(), "{second}");
    assert_eq!(asked(address, "GET /")["failed"], 1);
    drop(held);
    assert_eq!(heard.recv_timeout(Duration::from_secs(10)).unwrap()["retried"], 1);
}

#[test]
fn an_archive_that_ends_associations_early_is_no_images_fault() {
    let (node, fake) = (Node::new(), Fake::start(listener(), None));
    // After each image's second file.
    fake.answer(".2", 2);
    (30..50).for_each(|number| results(node.queue(), &format!("1.7.{number}")));
    couriers(node.queue(), &archive_at(fake.address));
    wait("all", || node.files("done").len() == 20);
    assert_eq!(node.queue().counts.refused.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[test]
fn an_archive_that_cannot_be_reached_is_no_images_fault() {
    let node = Node::new();
    let reserved = listener();
    let address = reserved.local_addr().unwrap();
    drop(reserved);
    (0..10).for_each(|number| results(node.queue(), &format!("1.2.{number}")));
    couriers(node.queue(), &archive_at(address));
    std::thread::sleep(Duration::from_secs(1));
    let (_, to_send, failed) = node.queue().lengths();
    assert_eq!((to_send.waiting, to_send.later, failed), (10, 0, 0));
    let fake = Fake::start(TcpListener::bind(address).unwrap(), None);
    let back = Instant::now();
    wait("all", || node.files("done").len() == 10);
    assert!(back.elapsed() < Duration::from_secs(5), "{:?}", back.elapsed());
    assert_eq!(fake.arrived(), 20);
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
