//! The receiving side: C-ECHO, and C-STORE of images, answered when the queue has them.

use std::net::TcpStream;
use std::time::Duration;

use dicom_core::{DataElement, VR, dicom_value};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};
use dicom_transfer_syntax_registry::entries::IMPLICIT_VR_LITTLE_ENDIAN;
use dicom_ul::pdu::{PDataValue, PDataValueType};
use dicom_ul::{Pdu, association::ServerAssociationOptions};
use medforge_runtime::dicom::SYNTAXES;

use crate::Result;
use crate::queue::Queue;

/// The classes of images that are taken.
const CLASSES: [&str; 12] = [
    uids::CT_IMAGE_STORAGE,
    uids::MR_IMAGE_STORAGE,
    uids::COMPUTED_RADIOGRAPHY_IMAGE_STORAGE,
    uids::DIGITAL_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION,
    uids::DIGITAL_MAMMOGRAPHY_X_RAY_IMAGE_STORAGE_FOR_PRESENTATION,
    uids::SECONDARY_CAPTURE_IMAGE_STORAGE,
    uids::MULTI_FRAME_TRUE_COLOR_SECONDARY_CAPTURE_IMAGE_STORAGE,
    uids::VL_MICROSCOPIC_IMAGE_STORAGE,
    uids::VL_PHOTOGRAPHIC_IMAGE_STORAGE,
    uids::VL_ENDOSCOPIC_IMAGE_STORAGE,
    uids::ULTRASOUND_IMAGE_STORAGE,
    uids::VERIFICATION,
];

/// Explicit VR big-endian.
const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";

/// The largest image that is taken, in bytes.
const LARGEST: usize = 1 << 30;

/// Out of resources, and cannot understand (PS3.4, B.2.3).
const OUT_OF_RESOURCES: u16 = 0xa700;
const CANNOT_UNDERSTAND: u16 = 0xc000;

/// Serves one association to its end.
pub fn serve(stream: TcpStream, title: &str, queue: &Queue) -> Result<()> {
    let mut options = ServerAssociationOptions::new()
        .accept_any()
        .ae_title(title)
        .read_timeout(Duration::from_secs(60))
        .write_timeout(Duration::from_secs(60));
    // What cannot be read is not agreed on, so that the sender knows at once. Big-endian is retired.
    for syntax in SYNTAXES.into_iter().filter(|syntax| *syntax != BIG_ENDIAN) {
        options = options.with_transfer_syntax(syntax);
    }
    for class in CLASSES {
        options = options.with_abstract_syntax(class);
    }
    stream.set_nodelay(true)?;
    let mut association = options.establish(stream)?;
    let (mut command, mut data) = (Vec::new(), Vec::new());
    let mut request = None;
    loop {
        let values = match association.receive()? {
            Pdu::PData { data } => data,
            Pdu::ReleaseRQ => return Ok(association.send(&Pdu::ReleaseRP)?),
            _ => return Ok(()),
        };
        for value in values {
            match value.value_type {
                PDataValueType::Command => {
                    command.extend(value.data);
                    if !value.is_last {
                        continue;
                    }
                    let asked = Request::read(&command)?;
                    command.clear();
                    data.clear();
                    if asked.field == C_ECHO {
                        association.send(&asked.answer(value.presentation_context_id, 0)?)?;
                    } else {
                        request = Some(asked);
                    }
                }
                PDataValueType::Data => {
                    data.extend(value.data);
                    if data.len() > LARGEST {
                        return Err(format!("an image has more than {LARGEST} bytes").into());
                    }
                    if !value.is_last {
                        continue;
                    }
                    let Some(asked) = request.take() else { return Err("data came without a command".into()) };
                    let context = association.presentation_contexts().iter();
                    let context = context.clone().find(|context| context.id == value.presentation_context_id);
                    let Some(context) = context else {
                        return Err("data came in a context that was not agreed on".into());
                    };
                    let status = match file(&asked, &context.transfer_syntax, &data) {
                        Err(error) => {
                            eprintln!("an image was not taken: {error}");
                            CANNOT_UNDERSTAND
                        }
                        Ok(file) => match queue.accept(&asked.instance, &file) {
                            Ok(()) => 0,
                            Err(error) => {
                                eprintln!("{}: not taken: {error}", asked.instance);
                                OUT_OF_RESOURCES
                            }
                        },
                    };
                    association.send(&asked.answer(value.presentation_context_id, status)?)?;
                }
            }
        }
    }
}

/// A Part 10 file of a data set, whose bytes stay as they came.
fn file(asked: &Request, syntax: &str, data: &[u8]) -> Result<Vec<u8>> {
    let meta = FileMetaTableBuilder::new()
        .media_storage_sop_class_uid(&asked.class)
        .media_storage_sop_instance_uid(&asked.instance)
        .transfer_syntax(syntax)
        .build()?;
    let mut file = vec![0; 128];
    file.extend(b"DICM");
    meta.write(&mut file)?;
    file.extend(data);
    Ok(file)
}

const C_STORE: u16 = 0x0001;
const C_ECHO: u16 = 0x0030;
/// What is added to a command's number in its answer.
const ANSWER: u16 = 0x8000;

/// A command.
struct Request {
    field: u16,
    message: u16,
    class: String,
    instance: String,
}

impl Request {
    fn read(bytes: &[u8]) -> Result<Self> {
        let object = InMemDicomObject::read_dataset_with_ts(bytes, &IMPLICIT_VR_LITTLE_ENDIAN.erased())?;
        let text =
            |tag| -> Result<String> { Ok(object.element(tag)?.to_str()?.trim_end_matches(['\0', ' ']).to_owned()) };
        let field = object.element(tags::COMMAND_FIELD)?.to_int()?;
        let message = object.element(tags::MESSAGE_ID)?.to_int()?;
        match field {
            C_ECHO => Ok(Request { field, message, class: uids::VERIFICATION.into(), instance: String::new() }),
            C_STORE => {
                let (class, instance) = (text(tags::AFFECTED_SOP_CLASS_UID)?, text(tags::AFFECTED_SOP_INSTANCE_UID)?);
                Ok(Request { field, message, class, instance })
            }
            other => Err(format!("command {other:#06x} is not served").into()),
        }
    }

    fn answer(&self, context: u8, status: u16) -> Result<Pdu> {
        let mut elements = vec![
            DataElement::new(tags::AFFECTED_SOP_CLASS_UID, VR::UI, dicom_value!(Str, self.class.as_str())),
            DataElement::new(tags::COMMAND_FIELD, VR::US, dicom_value!(U16, [self.field | ANSWER])),
            DataElement::new(tags::MESSAGE_ID_BEING_RESPONDED_TO, VR::US, dicom_value!(U16, [self.message])),
            DataElement::new(tags::COMMAND_DATA_SET_TYPE, VR::US, dicom_value!(U16, [0x0101])),
            DataElement::new(tags::STATUS, VR::US, dicom_value!(U16, [status])),
        ];
        if self.field == C_STORE {
            let instance = dicom_value!(Str, self.instance.as_str());
            elements.push(DataElement::new(tags::AFFECTED_SOP_INSTANCE_UID, VR::UI, instance));
        }
        let mut data = Vec::new();
        InMemDicomObject::command_from_element_iter(elements)
            .write_dataset_with_ts(&mut data, &IMPLICIT_VR_LITTLE_ENDIAN.erased())?;
        let value =
            PDataValue { presentation_context_id: context, value_type: PDataValueType::Command, is_last: true, data };
        Ok(Pdu::PData { data: vec![value] })
    }
}
