//! An archive that answers as a test asks it to, and results to be sent to it.

use std::collections::{BTreeMap, VecDeque};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use dicom_core::{DataElement, VR, dicom_value};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use dicom_transfer_syntax_registry::entries::IMPLICIT_VR_LITTLE_ENDIAN;
use dicom_ul::Pdu;
use dicom_ul::association::client::CloseSocket;
use dicom_ul::association::{ServerAssociation, ServerAssociationOptions, SyncAssociation};
use dicom_ul::pdu::{PDataValue, PDataValueType};
use rustls::ServerConfig;

use super::peers::CLASS;
use crate::courier::{Courier, Patience};
use crate::elements::Command;
use crate::queue::{Queue, Stage, Waiting};
use crate::send::Archive;

/// Statuses for instances that contain a text, one after the other, of which the last one stays.
/// Status 1 breaks the association off, status 2 does so after an answer of success, and at status
/// 3 nothing is said any more.
#[derive(Default)]
struct Answers(Mutex<BTreeMap<&'static str, VecDeque<u16>>>);

impl Answers {
    fn to(&self, instance: &str) -> u16 {
        let mut all = self.0.lock().unwrap();
        let found = all.iter_mut().find(|(part, _)| instance.contains(**part));
        let Some((_, statuses)) = found else { return 0 };
        if statuses.len() > 1 { statuses.pop_front().unwrap() } else { statuses[0] }
    }
}

/// How many instances an archive stored, and on how many it fell silent.
#[derive(Default)]
struct Came {
    stored: AtomicUsize,
    silent: AtomicUsize,
}

/// An archive that counts what came.
pub struct Fake {
    pub address: SocketAddr,
    came: Arc<Came>,
    answers: Arc<Answers>,
}

impl Fake {
    pub fn start(listener: TcpListener, tls: Option<Arc<ServerConfig>>) -> Self {
        let (came, answers) = (Arc::<Came>::default(), Arc::<Answers>::default());
        let address = listener.local_addr().unwrap();
        let fake = Fake { address, came: came.clone(), answers: answers.clone() };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (came, answers, tls) = (came.clone(), answers.clone(), tls.clone());
                std::thread::spawn(move || {
                    let options =
                        ServerAssociationOptions::new().promiscuous(true).ae_title("ARCHIVE");
                    match tls {
                        None => options
                            .establish(stream.unwrap())
                            .map(|open| serve(open, &came, &answers)),
                        Some(tls) => {
                            let options = options.tls_config(tls);
                            options
                                .establish_tls(stream.unwrap())
                                .map(|open| serve(open, &came, &answers))
                        }
                    }
                });
            }
        });
        fake
    }

    pub fn answer(&self, instance: &'static str, status: u16) {
        self.answer_in_turn(instance, &[status]);
    }

    pub fn answer_in_turn(&self, instance: &'static str, statuses: &[u16]) {
        self.answers.0.lock().unwrap().insert(instance, statuses.iter().copied().collect());
    }

    pub fn arrived(&self) -> usize {
        self.came.stored.load(Ordering::Relaxed)
    }

    pub fn silent(&self) -> usize {
        self.came.silent.load(Ordering::Relaxed)
    }
}

fn serve<S: Read + Write + CloseSocket>(
    mut open: ServerAssociation<S>,
    came: &Came,
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
                let (status, ends) = match answers.to(asked.instance.as_deref().unwrap()) {
                    2 => (0, true),
                    status => (status, false),
                };
                match status {
                    0 => {
                        came.stored.fetch_add(1, Ordering::Relaxed);
                    }
                    1 => return,
                    3 => {
                        came.silent.fetch_add(1, Ordering::Relaxed);
                        std::thread::sleep(Duration::from_secs(600));
                    }
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

/// Of couriers that lose patience with refusals soon, but not with an archive that is slow: a busy
/// machine may keep any thread waiting.
pub const SOON: Patience = Patience {
    first: Duration::from_millis(50),
    last: Duration::from_millis(200),
    refusals: 3,
    breaks: 4,
    unreached: Duration::from_millis(200),
    answer: Duration::from_secs(60),
    answer_again: Duration::from_secs(60),
};

/// Two couriers.
pub fn couriers(queue: &Arc<Queue>, archive: &Archive) {
    [true, false].into_iter().for_each(|retries| courier(queue, archive, retries, SOON));
}

pub fn courier(queue: &Arc<Queue>, archive: &Archive, retries: bool, patience: Patience) {
    let courier = Courier { queue: queue.clone(), archive: archive.clone(), patience, retries };
    std::thread::spawn(move || courier.send());
}

pub fn archive_at(address: SocketAddr) -> Archive {
    Archive {
        address: address.to_string(),
        title: "MEDFORGE".into(),
        called: "ARCHIVE".into(),
        tls: None,
    }
}

pub fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}
