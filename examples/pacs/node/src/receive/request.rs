//! Commands that are served, and their answers.

use dicom_core::{DataElement, VR, dicom_value};
use dicom_dictionary_std::{tags, uids};
use dicom_object::InMemDicomObject;
use dicom_transfer_syntax_registry::entries::IMPLICIT_VR_LITTLE_ENDIAN;
use dicom_ul::Pdu;
use dicom_ul::pdu::{PDataValue, PDataValueType};

use crate::Result;
use crate::elements::Command;

const C_STORE: u16 = 0x0001;
pub const C_ECHO: u16 = 0x0030;
/// What is added to a command's number in its answer.
const ANSWER: u16 = 0x8000;

/// A command.
pub struct Request {
    pub field: u16,
    message: u16,
    pub class: String,
    pub instance: String,
}

impl Request {
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let command = Command::read(bytes)?;
        let missing = "a command lacks its field, message, class or instance";
        let (field, message) = command.field.zip(command.message).ok_or(missing)?;
        match field {
            C_ECHO => Ok(Request {
                field,
                message,
                class: uids::VERIFICATION.into(),
                instance: String::new(),
            }),
            C_STORE if command.has_data => {
                let (class, instance) = command.class.zip(command.instance).ok_or(missing)?;
                Ok(Request { field, message, class, instance })
            }
            C_STORE => Err("an image was announced without its data".into()),
            other => Err(format!("command {other:#06x} is not served").into()),
        }
    }

    /// The command's answer, in its presentation context.
    pub fn answer(&self, context: u8, status: u16) -> Result<Pdu> {
        let mut elements = vec![
            DataElement::new(
                tags::AFFECTED_SOP_CLASS_UID,
                VR::UI,
                dicom_value!(Str, self.class.as_str()),
            ),
            DataElement::new(tags::COMMAND_FIELD, VR::US, dicom_value!(U16, [self.field | ANSWER])),
            DataElement::new(
                tags::MESSAGE_ID_BEING_RESPONDED_TO,
                VR::US,
                dicom_value!(U16, [self.message]),
            ),
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
        let value = PDataValue {
            presentation_context_id: context,
            value_type: PDataValueType::Command,
            is_last: true,
            data,
        };
        Ok(Pdu::PData { data: vec![value] })
    }
}
