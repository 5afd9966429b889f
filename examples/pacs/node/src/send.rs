//! The sending side: C-STORE of files over one association.

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use dicom_core::{DataElement, VR, dicom_value};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTable, InMemDicomObject};
use dicom_transfer_syntax_registry::entries::IMPLICIT_VR_LITTLE_ENDIAN;
use dicom_ul::association::ClientAssociationOptions;
use dicom_ul::pdu::{PDataValue, PDataValueType, write_pdu};
use dicom_ul::{ClientAssociation, Pdu};

use crate::Result;

/// Bytes before the meta information of a Part 10 file.
const PREAMBLE: usize = 128;

/// An association that results are stored over.
pub struct Sender {
    association: ClientAssociation<TcpStream>,
    /// The same connection, for what the association does not set.
    socket: TcpStream,
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
        let socket = association.inner_stream().try_clone()?;
        // The end of a message does not wait for an acknowledgement of its beginning.
        socket.set_nodelay(true)?;
        Ok(Sender { association, socket, called: called.to_owned(), messages: 0 })
    }

    /// Stores the file at `path`; it is there when this returns.
    pub fn store(&mut self, path: &Path) -> Result<()> {
        let file = std::fs::read(path)?;
        // What follows the meta information goes out as it lies there.
        let mut data = file.get(PREAMBLE..).unwrap_or_default();
        let meta = FileMetaTable::from_reader(&mut data)?;
        let (class, instance) = (meta.media_storage_sop_class_uid(), meta.media_storage_sop_instance_uid());
        let agreed = self.association.presentation_contexts().iter().find(|context| context.abstract_syntax == class);
        let context = agreed.ok_or_else(|| format!("{} does not take {class}", self.called))?.id;
        self.messages = self.messages.wrapping_add(1);
        let command = command(self.messages, class, instance)?;
        // Of each PDU six bytes are the header of its value.
        let most = (self.association.acceptor_max_pdu_length() as usize).saturating_sub(6).max(1);
        let wire = message(context, most, command, data)?;
        self.association.inner_stream().write_all(&wire)?;
        acknowledge_at_once(&self.socket)?;
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

/// Asks to store an instance.
fn command(message: u16, class: &str, instance: &str) -> Result<Vec<u8>> {
    let command = InMemDicomObject::command_from_element_iter([
        DataElement::new(tags::AFFECTED_SOP_CLASS_UID, VR::UI, dicom_value!(Str, class)),
        DataElement::new(tags::COMMAND_FIELD, VR::US, dicom_value!(U16, [0x0001])),
        DataElement::new(tags::MESSAGE_ID, VR::US, dicom_value!(U16, [message])),
        DataElement::new(tags::PRIORITY, VR::US, dicom_value!(U16, [0])),
        DataElement::new(tags::COMMAND_DATA_SET_TYPE, VR::US, dicom_value!(U16, [0])),
        DataElement::new(tags::AFFECTED_SOP_INSTANCE_UID, VR::UI, dicom_value!(Str, instance)),
    ]);
    let mut bytes = Vec::new();
    command.write_dataset_with_ts(&mut bytes, &IMPLICIT_VR_LITTLE_ENDIAN.erased())?;
    Ok(bytes)
}

/// A command and its data set as they go over the wire, in PDUs with at most so many bytes of either; one write is enough for all.
fn message(context: u8, most: usize, command: Vec<u8>, data: &[u8]) -> Result<Vec<u8>> {
    let mut wire = Vec::with_capacity(command.len() + data.len() + 64);
    let mut put = |value_type, is_last, data| {
        let value = PDataValue { presentation_context_id: context, value_type, is_last, data };
        write_pdu(&mut wire, &Pdu::PData { data: vec![value] })
    };
    put(PDataValueType::Command, true, command)?;
    let pieces = data.chunks(most);
    let count = pieces.len();
    for (number, piece) in pieces.enumerate() {
        put(PDataValueType::Data, number + 1 == count, piece.to_vec())?;
    }
    Ok(wire)
}

/// Has what comes next acknowledged at once: an archive under Nagle's algorithm sends the second part of its answer only after that, which
/// would else be 40 ms later. Holds until something is sent.
fn acknowledge_at_once(socket: &TcpStream) -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    std::os::linux::net::TcpStreamExt::set_quickack(socket, true)?;
    let _ = socket;
    Ok(())
}

#[cfg(test)]
mod tests {
    use dicom_ul::pdu::read_pdu;

    use super::*;

    /// In PDUs of the archive's size, only the last piece marked as the last, and every byte in its place.
    #[test]
    fn a_message_is_cut_at_what_the_archive_takes() {
        let data: Vec<u8> = (0..250).collect();
        for (most, pieces) in [(100, 3), (125, 2), (249, 2), (250, 1), (16384, 1)] {
            let wire = message(3, most, vec![7; 20], &data).unwrap();
            let mut rest = std::io::Cursor::new(&wire[..]);
            let mut values = Vec::new();
            while let Some(Pdu::PData { data }) = read_pdu(&mut rest, 16384, true).unwrap() {
                values.extend(data);
            }
            assert_eq!(rest.position() as usize, wire.len());
            assert_eq!((values[0].value_type.clone(), values[0].is_last), (PDataValueType::Command, true));
            let (last, before) = values[1..].split_last().unwrap();
            assert!(last.is_last && before.iter().all(|value| !value.is_last && value.data.len() == most));
            assert_eq!(values.len() - 1, pieces, "{most}");
            assert!(values.iter().all(|value| value.presentation_context_id == 3));
            assert_eq!(values[1..].iter().flat_map(|value| value.data.clone()).collect::<Vec<_>>(), data);
        }
    }
}
