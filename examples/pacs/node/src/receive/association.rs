//! An association: C-ECHO, and C-STORE of images, answered when the queue has them.

use std::io::Write;

use dicom_object::FileMetaTableBuilder;
use dicom_ul::Pdu;
use dicom_ul::pdu::PDataValueType;

use super::policy::Context;
use super::request::{C_ECHO, Request};
use super::wire::Wire;
use crate::Result;
use crate::counts::count;
use crate::elements::{self, BEGINNING};
use crate::log::said;
use crate::queue::{Accepted, PartialFile, Queue, valid};

/// The largest image that is taken, and the largest command, in bytes. The largest one that is
/// classified has 2^27 pixels of three bytes.
const LARGEST: u64 = 1 << 29;
const LARGEST_COMMAND: u64 = 1 << 14;
/// What a fragment counts at least, so that empty ones do not go on for ever.
const FRAGMENT: u64 = 64;

/// A status (PS3.7, annex C; PS3.4, B.2.3), with what it is about.
type Refusal = (u16, String);
const DUPLICATE: u16 = 0x0111;
const NO_SUCH_CLASS: u16 = 0x0122;
const OUT_OF_RESOURCES: u16 = 0xa700;
const DOES_NOT_MATCH: u16 = 0xa900;
const CANNOT_UNDERSTAND: u16 = 0xc000;

/// Serves an association to its end.
pub fn serve(wire: &mut Wire, contexts: &[Context], queue: &Queue) -> Result<()> {
    let (mut command, mut size, mut image) = (Vec::new(), 0, None);
    loop {
        let values = match wire.receive()? {
            Some(Pdu::PData { data }) => data,
            Some(Pdu::ReleaseRQ) => return wire.send(&Pdu::ReleaseRP),
            Some(Pdu::AbortRQ { .. }) | None => return Ok(()),
            Some(_) => return Err("a unit came that has no place in an association".into()),
        };
        for value in values {
            let context =
                contexts.iter().find(|context| context.id == value.presentation_context_id);
            let context = context.ok_or("something came in a context that was not agreed on")?;
            size += FRAGMENT.max(value.data.len() as u64);
            match (value.value_type, &mut image) {
                (PDataValueType::Command, None) => {
                    if size > LARGEST_COMMAND {
                        return Err(
                            format!("a command has more than {LARGEST_COMMAND} bytes").into()
                        );
                    }
                    command.extend(value.data);
                    if !value.is_last {
                        continue;
                    }
                    let asked = Request::read(&command)?;
                    (command, size) = (Vec::new(), 0);
                    if asked.field == C_ECHO {
                        wire.send(&asked.answer(context.id, 0)?)?;
                        wire.expect_message();
                    } else {
                        image = Some(Image::new(asked, context, queue));
                    }
                }
                (PDataValueType::Data, Some(open)) if open.context.id == context.id => {
                    if size > LARGEST {
                        return Err(format!("an image has more than {LARGEST} bytes").into());
                    }
                    open.add(&value.data);
                    if value.is_last
                        && let Some(whole) = image.take()
                    {
                        size = 0;
                        let answer = whole.end(queue)?;
                        wire.send(&answer)?;
                        wire.expect_message();
                    }
                }
                _ => {
                    return Err(
                        "commands and data came in another order than one after the other".into()
                    );
                }
            }
        }
    }
}

/// An image that comes in.
struct Image<'a> {
    asked: Request,
    context: &'a Context,
    /// Its file so far, and where the data set begins; or why it is not taken.
    file: std::result::Result<(PartialFile, u64), Refusal>,
}

impl<'a> Image<'a> {
    fn new(asked: Request, context: &'a Context, queue: &Queue) -> Self {
        let file = if asked.class != context.class {
            Err((
                NO_SUCH_CLASS,
                format!("its class is {}, and {} was agreed on", asked.class, context.class),
            ))
        } else if !valid(&asked.instance) {
            Err((CANNOT_UNDERSTAND, "its SOP Instance UID is no unique identifier".to_owned()))
        } else {
            begin(&asked, context, queue).map_err(|error| (OUT_OF_RESOURCES, error.to_string()))
        };
        Image { asked, context, file }
    }

    fn add(&mut self, bytes: &[u8]) {
        if let Ok((part, _)) = &mut self.file
            && let Err(error) = part.write_all(bytes)
        {
            self.file = Err((OUT_OF_RESOURCES, error.to_string()));
        }
    }

    /// Takes the image, and says what to answer.
    fn end(self, queue: &Queue) -> Result<Pdu> {
        let taken = self
            .file
            .and_then(|(part, start)| take(part, start, &self.asked, &self.context.syntax, queue));
        let (status, counter) = match taken {
            Ok(Accepted::Known) => (0, &queue.counts.known),
            Ok(_) => (0, &queue.counts.accepted),
            Err((status, why)) => {
                let kind = if status == OUT_OF_RESOURCES { "resources" } else { "not taken" };
                let text = format!(
                    "{} was not taken, with status {status:#06x}: {why}",
                    self.asked.instance
                );
                said(kind, &text);
                if status == OUT_OF_RESOURCES {
                    queue.counts.error(&text);
                }
                (status, &queue.counts.not_taken)
            }
        };
        count(counter);
        self.asked.answer(self.context.id, status)
    }
}

/// Begins a Part 10 file, whose data set stays as it comes.
fn begin(asked: &Request, context: &Context, queue: &Queue) -> Result<(PartialFile, u64)> {
    let meta = FileMetaTableBuilder::new()
        .media_storage_sop_class_uid(&asked.class)
        .media_storage_sop_instance_uid(&asked.instance)
        .transfer_syntax(&context.syntax)
        .build()?;
    let mut head = vec![0; 128];
    head.extend(b"DICM");
    meta.write(&mut head)?;
    let mut part = queue.incoming()?;
    part.write_all(&head)?;
    Ok((part, head.len() as u64))
}

fn take(
    mut part: PartialFile,
    start: u64,
    asked: &Request,
    syntax: &str,
    queue: &Queue,
) -> std::result::Result<Accepted, Refusal> {
    let full = |error: &dyn std::error::Error| (OUT_OF_RESOURCES, error.to_string());
    let beginning = part.read(start, BEGINNING).map_err(|error| full(&error))?;
    let unclear = |error| (CANNOT_UNDERSTAND, format!("of its data set: {error}"));
    let (class, instance) = elements::identity(&beginning, syntax).map_err(unclear)?;
    for (named, in_it, in_command) in
        [("class", &class, &asked.class), ("SOP Instance UID", &instance, &asked.instance)]
    {
        if in_it != in_command {
            return Err((
                DOES_NOT_MATCH,
                format!("its {named} is {in_command}, and {in_it} in its data set"),
            ));
        }
    }
    match queue.accept(&asked.instance, part).map_err(|error| full(&*error))? {
        Accepted::Other => {
            Err((DUPLICATE, "another picture is known under this identifier".to_owned()))
        }
        accepted => Ok(accepted),
    }
}
