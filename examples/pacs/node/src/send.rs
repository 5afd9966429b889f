//! The sending side: C-STORE of files over one association.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use dicom_core::{DataElement, VR, dicom_value};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{InMemDicomObject, open_file};
use dicom_transfer_syntax_registry::entries::{EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN};
use dicom_ul::pdu::{PDataValue, PDataValueType};
use dicom_ul::{Pdu, association::ClientAssociationOptions};

use crate::Result;

/// Stores `files` (explicit VR, little-endian) at `address`; all of them are there when this returns.
pub fn store(address: &str, title: &str, called: &str, files: &[&Path]) -> Result<()> {
    let objects = files.iter().map(open_file).collect::<std::result::Result<Vec<_>, _>>()?;
    let mut options = ClientAssociationOptions::new()
        .calling_ae_title(title)
        .called_ae_title(called)
        .read_timeout(Duration::from_secs(60))
        .write_timeout(Duration::from_secs(60));
    for object in &objects {
        let class = object.meta().media_storage_sop_class_uid().trim_end_matches('\0').to_owned();
        options = options.with_presentation_context(class, vec![uids::EXPLICIT_VR_LITTLE_ENDIAN.to_owned()]);
    }
    let mut association = options.establish_with(address)?;
    for (index, object) in objects.iter().enumerate() {
        let class = object.meta().media_storage_sop_class_uid().trim_end_matches('\0');
        let instance = object.meta().media_storage_sop_instance_uid().trim_end_matches('\0');
        let agreed = association.presentation_contexts().iter().find(|context| context.abstract_syntax == class);
        let context = agreed.ok_or_else(|| format!("{called} does not take {class}"))?.id;
        let command = InMemDicomObject::command_from_element_iter([
            DataElement::new(tags::AFFECTED_SOP_CLASS_UID, VR::UI, dicom_value!(Str, class)),
            DataElement::new(tags::COMMAND_FIELD, VR::US, dicom_value!(U16, [0x0001])),
            DataElement::new(tags::MESSAGE_ID, VR::US, dicom_value!(U16, [index as u16 + 1])),
            DataElement::new(tags::PRIORITY, VR::US, dicom_value!(U16, [0])),
            DataElement::new(tags::COMMAND_DATA_SET_TYPE, VR::US, dicom_value!(U16, [0])),
            DataElement::new(tags::AFFECTED_SOP_INSTANCE_UID, VR::UI, dicom_value!(Str, instance)),
        ]);
        let (mut head, mut data) = (Vec::new(), Vec::new());
        command.write_dataset_with_ts(&mut head, &IMPLICIT_VR_LITTLE_ENDIAN.erased())?;
        object.write_dataset_with_ts(&mut data, &EXPLICIT_VR_LITTLE_ENDIAN.erased())?;
        let value = PDataValue {
            presentation_context_id: context,
            value_type: PDataValueType::Command,
            is_last: true,
            data: head,
        };
        association.send(&Pdu::PData { data: vec![value] })?;
        association.send_pdata(context).write_all(&data)?;
        let Pdu::PData { data } = association.receive()? else { return Err("the association was broken off".into()) };
        let answer = data.first().map(|value| value.data.as_slice()).unwrap_or_default();
        let answer = InMemDicomObject::read_dataset_with_ts(answer, &IMPLICIT_VR_LITTLE_ENDIAN.erased())?;
        // Warnings are from 0xB000 on: stored, with something coerced.
        match answer.element(tags::STATUS)?.to_int::<u16>()? {
            0 | 0xb000..=0xbfff => {}
            status => return Err(format!("{called} answered {status:#06x} to {instance}").into()),
        }
    }
    Ok(association.release()?)
}
