//! The sending side: C-STORE of files over one association.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use dicom_core::{DataElement, VR, dicom_value};
use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTable, InMemDicomObject};
use dicom_transfer_syntax_registry::entries::IMPLICIT_VR_LITTLE_ENDIAN;
use dicom_ul::association::ClientAssociationOptions;
use dicom_ul::association::client::{CloseSocket, TlsStream};
use dicom_ul::pdu::{PDataValue, PDataValueType, write_pdu};
use dicom_ul::{ClientAssociation, Pdu};
use rustls::ClientConfig;

use crate::Result;
use crate::elements::Command;

/// Where results are sent.
#[derive(Clone)]
pub struct Archive {
    pub address: String,
    /// The titles of this node and of the archive.
    pub title: String,
    pub called: String,
    pub tls: Option<Arc<ClientConfig>>,
}

/// An association that results are stored over.
pub trait Store {
    /// Stores a Part 10 file, and gives the archive's status, for which it waits at most `answer`.
    ///
    /// # Errors
    /// The association has broken off, or no answer came in time.
    fn store(&mut self, file: &[u8], answer: Duration) -> Result<u16>;

    /// Ends the association.
    fn close(self: Box<Self>) -> Result<()>;
}

/// Bytes before the meta information of a Part 10 file.
const PREAMBLE: usize = 128;
/// How long an archive may take to be reached, and to agree on an association.
const REACHED: Duration = Duration::from_secs(3);
const AGREED: Duration = Duration::from_secs(10);

/// The classes of reports and captures.
const CLASSES: [&str; 2] =
    [uids::COMPREHENSIVE3_DSR_STORAGE, uids::SECONDARY_CAPTURE_IMAGE_STORAGE];

impl Archive {
    /// Opens an association for reports and captures in explicit VR, little-endian.
    pub fn open(&self) -> Result<Box<dyn Store>> {
        let mut options = ClientAssociationOptions::new()
            .calling_ae_title(&*self.title)
            .called_ae_title(&*self.called)
            .connection_timeout(REACHED)
            .read_timeout(AGREED)
            .write_timeout(AGREED);
        for class in CLASSES {
            options =
                options.with_presentation_context(class, vec![uids::EXPLICIT_VR_LITTLE_ENDIAN]);
        }
        let Some(tls) = &self.tls else {
            let mut association = options.establish_with(&self.address)?;
            let socket = association.inner_stream().try_clone()?;
            return Sender::agreed(association, socket, &self.called);
        };
        let host = self.address.rsplit_once(':').map_or(&*self.address, |(host, _)| host);
        let options = options.tls_config(tls.clone()).server_name(host.trim_matches(['[', ']']));
        let mut association: ClientAssociation<TlsStream> =
            options.establish_with_tls(&self.address)?;
        let socket = association.inner_stream().sock.try_clone()?;
        Sender::agreed(association, socket, &self.called)
    }
}

struct Sender<S> {
    association: ClientAssociation<S>,
    /// The same connection, for what the association does not set.
    socket: TcpStream,
    messages: u16,
}

impl<S: CloseSocket + Read + Write + 'static> Sender<S> {
    /// An association over which all classes were agreed on.
    fn agreed(
        association: ClientAssociation<S>,
        socket: TcpStream,
        called: &str,
    ) -> Result<Box<dyn Store>> {
        // The end of a message does not wait for an acknowledgement of its beginning.
        socket.set_nodelay(true)?;
        let taken = |class: &&str| {
            association.presentation_contexts().iter().any(|one| one.abstract_syntax == *class)
        };
        match CLASSES.iter().find(|class| !taken(class)) {
            Some(class) => Err(format!("{called} does not take {class}").into()),
            None => Ok(Box::new(Sender { association, socket, messages: 0 })),
        }
    }
}

impl<S: CloseSocket + Read + Write> Store for Sender<S> {
    fn store(&mut self, file: &[u8], answer: Duration) -> Result<u16> {
        // What follows the meta information goes out as it lies there.
        let mut data = file.get(PREAMBLE..).unwrap_or_default();
        let meta = FileMetaTable::from_reader(&mut data)?;
        let class = meta.media_storage_sop_class_uid().trim_end_matches('\0');
        let instance = meta.media_storage_sop_instance_uid().trim_end_matches('\0');
        let agreed = self
            .association
            .presentation_contexts()
            .iter()
            .find(|context| context.abstract_syntax == class);
        let context = agreed.ok_or_else(|| format!("{class} was not agreed on"))?.id;
        self.messages = self.messages.wrapping_add(1);
        let command = command(self.messages, class, instance)?;
        // Of each PDU six bytes are the header of its value.
        let most = (self.association.acceptor_max_pdu_length() as usize).saturating_sub(6).max(1);
        let wire = message(context, most, command, data)?;
        self.socket.set_write_timeout(Some(answer))?;
        self.socket.set_read_timeout(Some(answer))?;
        self.association.inner_stream().write_all(&wire)?;
        acknowledge_at_once(&self.socket)?;
        let Pdu::PData { data } = self.association.receive()? else {
            return Err("the association was broken off".into());
        };
        let answer = data.first().map(|value| value.data.as_slice()).unwrap_or_default();
        Ok(Command::read(answer)?.status.ok_or("an answer has no status")?)
    }

    fn close(self: Box<Self>) -> Result<()> {
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

/// A command and its data set as they go over the wire, in PDUs with at most so many bytes of
/// either; one write is enough for all.
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

/// Acknowledges at once what comes next. A peer under Nagle's algorithm sends the second part of a
/// message only after that, and else 40 ms later. It holds until something is sent.
pub fn acknowledge_at_once(socket: &TcpStream) -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    std::os::linux::net::TcpStreamExt::set_quickack(socket, true)?;
    let _ = socket;
    Ok(())
}

#[cfg(test)]
mod tests {
    use dicom_ul::pdu::read_pdu;

    use super::*;

    /// In PDUs of the archive's size, only the last piece marked as the last, and every byte in its
    /// place.
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
            assert_eq!(
                (values[0].value_type.clone(), values[0].is_last),
                (PDataValueType::Command, true)
            );
            let (last, before) = values[1..].split_last().unwrap();
            assert!(
                last.is_last
                    && before.iter().all(|value| !value.is_last && value.data.len() == most)
            );
            assert_eq!(values.len() - 1, pieces, "{most}");
            assert!(values.iter().all(|value| value.presentation_context_id == 3));
            assert_eq!(
                values[1..].iter().flat_map(|value| value.data.clone()).collect::<Vec<_>>(),
                data
            );
        }
    }
}
