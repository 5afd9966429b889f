//! The sending side: C-STORE of files over one association.

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use dicom_core::{DataElement, VR, dicom_value};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{InMemDicomObject, open_file};
use dicom_transfer_syntax_registry::entries::{EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN};
use dicom_ul::association::ClientAssociationOptions;
use dicom_ul::pdu::{PDataValue, PDataValueType};
use dicom_ul::{ClientAssociation, Pdu};

use crate::Result;

/// An association that results are stored over.
pub struct Sender {
    association: ClientAssociation<TcpStream>,
    called: String,
    messages: u16,
}

impl Sender {
    /// Opens an association for reports and captures in explicit VR, little-endian.
    pub fn open(address: &str, title: &str, called: &str) -> Result<Self> {
        let syntax = || vec![uids::EXPLICIT_VR_LITTLE_ENDIAN];
        let mut association = ClientAssociationOptions::new()
            .calling_ae_title(title)
            .called_ae_title(called)
            .read_timeout(Duration::from_secs(60))
            .write_timeout(Duration::from_secs(60))
            .with_presentation_context(uids::COMPREHENSIVE3_DSR_STORAGE, syntax())
            .with_presentation_context(uids::SECONDARY_CAPTURE_IMAGE_STORAGE, syntax())
            .establish_with(address)?;
        // A command and its data are several small writes: none of them waits for an acknowledgement.
        association.inner_stream().set_nodelay(true)?;
        Ok(Sender { association, called: called.to_owned(), messages: 0 })
    }

    /// Stores the file at `path`; it is there when this returns.
    pub fn store(&mut self, path: &Path) -> Result<()> {
        let object = open_file(path)?;
        self.messages += 1;
        let class = object.meta().media_storage_sop_class_uid().trim_end_matches('\0');
        let instance = object.meta().media_storage_sop_instance_uid().trim_end_matches('\0');
        let agreed = self.association.presentation_contexts().iter().find(|context| context.abstract_syntax == class);
        let context = agreed.ok_or_else(|| format!("{} does not take {class}", self.called))?.id;
        let command = InMemDicomObject::command_from_element_iter([
            DataElement::new(tags::AFFECTED_SOP_CLASS_UID, VR::UI, dicom_value!(Str, class)),
            DataElement::new(tags::COMMAND_FIELD, VR::US, dicom_value!(U16, [0x0001])),
            DataElement::new(tags::MESSAGE_ID, VR::US, dicom_value!(U16, [self.messages])),
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
        self.association.send(&Pdu::PData { data: vec![value] })?;
        self.association.send_pdata(context).write_all(&data)?;
        let Pdu::PData { data } = self.association.receive()? else {
            return Err("the association was broken off".into());
        };
        let answer = data.first().map(|value| value.data.as_slice()).unwrap_or_default();
        let answer = InMemDicomObject::read_dataset_with_ts(answer, &IMPLICIT_VR_LITTLE_ENDIAN.erased())?;
        // Warnings are from 0xB000 on: stored, with something coerced.
        match answer.element(tags::STATUS)?.to_int::<u16>()? {
            0 | 0xb000..=0xbfff => Ok(()),
            status => Err(format!("{} answered {status:#06x} to {instance}", self.called).into()),
        }
    }

    /// Ends the association.
    pub fn close(self) -> Result<()> {
        Ok(self.association.release()?)
    }
}
