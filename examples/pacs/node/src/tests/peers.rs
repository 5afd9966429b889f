//! A node to talk to, and what a sender says, unit by unit.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dicom_core::{DataElement, PrimitiveValue, Tag, VR, dicom_value};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::entries::{
    EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN,
};
use dicom_ul::Pdu;
use dicom_ul::pdu::{
    AssociationRQ, PDataValue, PDataValueType, PresentationContextProposed, UserVariableItem,
    read_pdu, write_pdu,
};
use tempfile::TempDir;

use crate::elements::Command;
use crate::queue::Queue;
use crate::receive::{Policy, Receiver, Times};

pub const CLASS: &str = uids::SECONDARY_CAPTURE_IMAGE_STORAGE;
/// The contexts that senders here ask for: C-ECHO, and captures.
pub const ECHO: u8 = 1;
pub const STORE: u8 = 3;

/// More than any thread of a busy machine is kept waiting.
const PATIENT: Duration = Duration::from_secs(120);

/// A node that only receives.
pub struct Node {
    pub place: TempDir,
    pub receiver: Arc<Receiver>,
    pub address: SocketAddr,
}

impl Node {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Receiver)) -> Self {
        let place = tempfile::tempdir().unwrap();
        let mut receiver = Receiver {
            queue: Arc::new(Queue::open(&place.path().join("queue")).unwrap()),
            policy: Policy { title: "MEDFORGE".into(), calling: vec![], allow: vec![] },
            tls: None,
            times: Times { negotiation: PATIENT, answer: PATIENT, ..Times::new(PATIENT) },
            most: 50,
            open: 0.into(),
            telling: 0.into(),
        };
        change(&mut receiver);
        let receiver = Arc::new(receiver);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let listening = receiver.clone();
        std::thread::spawn(move || listening.listen(&listener));
        Node { place, receiver, address }
    }

    pub fn queue(&self) -> &Arc<Queue> {
        &self.receiver.queue
    }

    /// The names of the files in a folder of the queue.
    pub fn files(&self, folder: &str) -> Vec<String> {
        names(&self.place.path().join("queue").join(folder))
    }

    pub fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        socket
    }

    /// An association with the usual titles.
    pub fn associate(&self) -> TcpStream {
        let mut socket = self.connect();
        say(&mut socket, &request("MEDFORGE", "SENDER"));
        let answer = hear(&mut socket);
        assert!(matches!(answer, Some(Pdu::AssociationAC(_))), "{answer:?}");
        socket
    }
}

pub fn names(folder: &std::path::Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

pub fn repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../..").join(path)
}

/// Waits until something holds.
pub fn wait(what: &str, mut ready: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !ready() {
        assert!(Instant::now() < end, "{what}: not within a minute");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub fn request(called: &str, calling: &str) -> Pdu {
    let context = |id, class: &str| PresentationContextProposed {
        id,
        abstract_syntax: class.to_owned(),
        transfer_syntaxes: vec![uids::EXPLICIT_VR_LITTLE_ENDIAN.to_owned()],
    };
    Pdu::AssociationRQ(AssociationRQ {
        protocol_version: 1,
        calling_ae_title: calling.to_owned(),
        called_ae_title: called.to_owned(),
        application_context_name: "1.2.840.10008.3.1.1.1".to_owned(),
        presentation_contexts: vec![context(ECHO, uids::VERIFICATION), context(STORE, CLASS)],
        user_variables: vec![UserVariableItem::MaxLength(16_384)],
    })
}

pub fn say(socket: &mut impl Write, pdu: &Pdu) {
    let mut bytes = Vec::new();
    write_pdu(&mut bytes, pdu).unwrap();
    socket.write_all(&bytes).unwrap();
}

/// The next unit; none if the connection has ended.
pub fn hear(socket: &mut impl Read) -> Option<Pdu> {
    let mut bytes = vec![0; 6];
    socket.read_exact(&mut bytes).ok()?;
    let length = u32::from_be_bytes(bytes[2..].try_into().unwrap());
    bytes.resize(6 + length as usize, 0);
    socket.read_exact(&mut bytes[6..]).ok()?;
    read_pdu(&bytes[..], 1 << 17, true).unwrap()
}

pub fn part(value_type: PDataValueType, is_last: bool, data: Vec<u8>) -> Pdu {
    Pdu::PData {
        data: vec![PDataValue { presentation_context_id: STORE, value_type, is_last, data }],
    }
}

/// A C-STORE command.
pub fn command(class: &str, uid: &str) -> Vec<u8> {
    let command = InMemDicomObject::command_from_element_iter([
        DataElement::new(tags::AFFECTED_SOP_CLASS_UID, VR::UI, dicom_value!(Str, class)),
        DataElement::new(tags::COMMAND_FIELD, VR::US, dicom_value!(U16, [1])),
        DataElement::new(tags::MESSAGE_ID, VR::US, dicom_value!(U16, [7])),
        DataElement::new(tags::PRIORITY, VR::US, dicom_value!(U16, [0])),
        DataElement::new(tags::COMMAND_DATA_SET_TYPE, VR::US, dicom_value!(U16, [0])),
        DataElement::new(tags::AFFECTED_SOP_INSTANCE_UID, VR::UI, dicom_value!(Str, uid)),
    ]);
    let mut bytes = Vec::new();
    command.write_dataset_with_ts(&mut bytes, &IMPLICIT_VR_LITTLE_ENDIAN.erased()).unwrap();
    bytes
}

/// A C-ECHO.
pub fn echo() -> Pdu {
    let command = InMemDicomObject::command_from_element_iter([
        DataElement::new(
            tags::AFFECTED_SOP_CLASS_UID,
            VR::UI,
            dicom_value!(Str, uids::VERIFICATION),
        ),
        DataElement::new(tags::COMMAND_FIELD, VR::US, dicom_value!(U16, [0x30])),
        DataElement::new(tags::MESSAGE_ID, VR::US, dicom_value!(U16, [1])),
        DataElement::new(tags::COMMAND_DATA_SET_TYPE, VR::US, dicom_value!(U16, [0x0101])),
    ]);
    let mut data = Vec::new();
    command.write_dataset_with_ts(&mut data, &IMPLICIT_VR_LITTLE_ENDIAN.erased()).unwrap();
    let (value_type, is_last) = (PDataValueType::Command, true);
    Pdu::PData {
        data: vec![PDataValue { presentation_context_id: ECHO, value_type, is_last, data }],
    }
}

/// The status that an image is answered with.
pub fn store_as(socket: &mut (impl Read + Write), class: &str, uid: &str, data: &[u8]) -> u16 {
    say(socket, &part(PDataValueType::Command, true, command(class, uid)));
    let mut fragments = data.chunks(10_000).peekable();
    while let Some(fragment) = fragments.next() {
        say(socket, &part(PDataValueType::Data, fragments.peek().is_none(), fragment.to_vec()));
    }
    match hear(socket) {
        Some(Pdu::PData { data }) => Command::read(&data[0].data).unwrap().status.unwrap(),
        other => panic!("{other:?}"),
    }
}

pub fn store(socket: &mut (impl Read + Write), uid: &str, data: &[u8]) -> u16 {
    store_as(socket, CLASS, uid, data)
}

/// A picture of 64 x 64 grey values, which `seed` tells from others.
pub fn picture(uid: &str, seed: u8) -> InMemDicomObject {
    let mut object = InMemDicomObject::new_empty();
    let text = |object: &mut InMemDicomObject, tag: Tag, vr, value: &str| {
        object.put(DataElement::new(tag, vr, PrimitiveValue::from(value)));
    };
    for (tag, vr, value) in [
        (tags::SOP_CLASS_UID, VR::UI, CLASS),
        (tags::SOP_INSTANCE_UID, VR::UI, uid),
        (tags::STUDY_DATE, VR::DA, "20260102"),
        (tags::MODALITY, VR::CS, "OT"),
        (tags::PATIENT_NAME, VR::PN, "Phantom^Ada"),
        (tags::PATIENT_ID, VR::LO, "P1"),
        (tags::STUDY_INSTANCE_UID, VR::UI, "2.25.11"),
        (tags::SERIES_INSTANCE_UID, VR::UI, "2.25.12"),
        (tags::PHOTOMETRIC_INTERPRETATION, VR::CS, "MONOCHROME2"),
    ] {
        text(&mut object, tag, vr, value);
    }
    for (tag, value) in [
        (tags::SAMPLES_PER_PIXEL, 1u16),
        (tags::ROWS, 64),
        (tags::COLUMNS, 64),
        (tags::BITS_ALLOCATED, 8),
        (tags::BITS_STORED, 8),
        (tags::HIGH_BIT, 7),
        (tags::PIXEL_REPRESENTATION, 0),
    ] {
        object.put(DataElement::new(tag, VR::US, PrimitiveValue::from(value)));
    }
    let pixels: Vec<u8> = (0..64 * 64).map(|at| ((at * 31 + at / 64) as u8) ^ seed).collect();
    object.put(DataElement::new(tags::PIXEL_DATA, VR::OB, PrimitiveValue::from(pixels)));
    object
}

/// A data set's bytes in explicit VR, little-endian.
pub fn bytes(object: &InMemDicomObject) -> Vec<u8> {
    let mut bytes = Vec::new();
    object.write_dataset_with_ts(&mut bytes, &EXPLICIT_VR_LITTLE_ENDIAN.erased()).unwrap();
    bytes
}

pub fn image(uid: &str, seed: u8) -> Vec<u8> {
    bytes(&picture(uid, seed))
}
