//! The stored values of one frame: native, in RLE, or in JPEG (baseline, extended, progressive and
//! lossless; which of them, the JPEG says).
//!
//! Refused: JPEGs of another size than the file says or of more bits than it has room for, colours
//! of which viewers show different ones, frames whose fragments cannot be told apart, chroma that
//! is stored more coarsely without JPEG.

use std::borrow::Cow;
use std::ops::Range;

use super::attributes::Notes;
use super::dataset::{Element, Value, fragments};
use super::rle;
use crate::jpeg::{self, Decoded, Head, Process};
use crate::stored::Bits;

/// What the file says of its frames.
pub struct Format<'a> {
    pub rows: u32,
    pub columns: u32,
    pub samples: u32,
    pub bits: Bits,
    /// Photometric Interpretation.
    pub photometric: &'a str,
    pub planar: bool,
    pub frames: u32,
    pub coding: Coding,
}

/// How the transfer syntax keeps pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Native,
    Rle,
    Jpeg,
}

/// A frame's values, little-endian.
pub struct Values {
    pub data: Vec<u8>,
    pub planar: bool,
    /// Whether the colours are YBR where the file says RGB.
    pub ybr_after_all: bool,
}

/// Why a frame is not decoded.
#[derive(Debug)]
pub enum Refusal {
    Damaged(String),
    Unsupported(String),
}

/// The values of frame `number`, which is there.
///
/// # Errors
/// [`Refusal`] for what the module's head says is refused, and for damaged pixels.
pub fn decode(
    data: &[u8],
    element: &Element,
    number: u32,
    format: &Format,
    notes: &mut Notes,
) -> Result<Values, Refusal> {
    if element.twice {
        return Err(Refusal::Damaged("its Pixel Data is there twice".into()));
    }
    if format.photometric == "YBR_FULL_422" && format.coding != Coding::Jpeg {
        return Err(Refusal::Unsupported(
            "Photometric Interpretation YBR_FULL_422 is read in JPEG alone".into(),
        ));
    }
    if format.coding == Coding::Native {
        let Value::Bytes(place) = &element.value else {
            let what = "its pixels are in fragments, which its transfer syntax has not";
            return Err(Refusal::Damaged(what.into()));
        };
        return native(&data[place.clone()], element.vr, number, format, notes);
    }
    let own;
    let fragments = match &element.value {
        Value::Fragments(fragments) => fragments,
        Value::Bytes(place) => {
            own = fragments_within(data, place, notes)?;
            &own
        }
        Value::Items(_) => return Err(Refusal::Damaged("its pixels are a sequence".into())),
    };
    let frame = frame_of(data, fragments, number, format)?;
    let pixels = format.rows as usize * format.columns as usize;
    if format.coding == Coding::Rle {
        let width = usize::from(format.bits.allocated / 8);
        let values = rle::decode(&frame, pixels, format.samples as usize, width);
        let data = values.map_err(Refusal::Damaged)?;
        return Ok(Values { data, planar: false, ybr_after_all: false });
    }
    of_jpeg(&frame, format, notes)
}

fn native(
    bytes: &[u8],
    vr: Option<[u8; 2]>,
    number: u32,
    format: &Format,
    notes: &mut Notes,
) -> Result<Values, Refusal> {
    let Format { rows, columns, samples, bits, frames, .. } = *format;
    let width = usize::from(bits.allocated / 8);
    let frame = rows as usize * columns as usize * samples as usize * width;
    let needed = frame.saturating_mul(frames as usize);
    if bytes.len() < needed {
        return Err(Refusal::Damaged(format!(
            "it has {} bytes of pixels where {needed} are needed",
            bytes.len()
        )));
    }
    if bytes.len() > needed + 1 {
        notes.insert(format!("{} bytes follow the pixels of its last frame", bytes.len() - needed));
    }
    let place = frame * number as usize..frame * (number as usize + 1);
    // Eight bits in big-endian words lie two a word, the first in the low byte.
    let swapped = bits.big_endian && (width == 2 || (width == 1 && vr == Some(*b"OW")));
    let data = if swapped {
        place.map(|at| bytes.get(at ^ 1).copied().unwrap_or(0)).collect()
    } else {
        bytes[place].to_vec()
    };
    Ok(Values { data, planar: format.planar, ybr_after_all: false })
}

/// Fragments in pixels whose length is stated, which the standard does not have.
fn fragments_within(
    data: &[u8],
    place: &Range<usize>,
    notes: &mut Notes,
) -> Result<Vec<Range<usize>>, Refusal> {
    if !data[place.clone()].starts_with(b"\xfe\xff\x00\xe0") {
        let what = "its transfer syntax has fragments, and its pixels are in none";
        return Err(Refusal::Damaged(what.into()));
    }
    notes.insert("its fragments of pixels stand under a stated length".into());
    fragments(data, place.clone()).map_err(|fault| Refusal::Damaged(fault.what))
}

/// The bytes of a frame: its fragments, of which the table of offsets tells where several begin.
fn frame_of<'a>(
    data: &'a [u8],
    fragments: &[Range<usize>],
    number: u32,
    format: &Format,
) -> Result<Cow<'a, [u8]>, Refusal> {
    let Some((table, fragments)) = fragments.split_first() else {
        return Err(Refusal::Damaged("its pixels are in no fragments".into()));
    };
    let (frames, number) = (format.frames as usize, number as usize);
    let joined = |fragments: &[Range<usize>]| -> Cow<'a, [u8]> {
        match fragments {
            [one] => Cow::Borrowed(&data[one.clone()]),
            many => many.iter().flat_map(|place| &data[place.clone()]).copied().collect(),
        }
    };
    if frames == 1 || fragments.len() == frames {
        let own = if frames == 1 { fragments } else { &fragments[number..=number] };
        return match own {
            [] => Err(Refusal::Damaged("its pixels are in no fragments".into())),
            own => Ok(joined(own)),
        };
    }
    if fragments.len() < frames {
        let what = format!("it has {} fragments of pixels for {frames} frames", fragments.len());
        return Err(Refusal::Damaged(what));
    }
    // Offsets count from the first fragment's item, which begins eight bytes before its value.
    let offsets = data[table.clone()].as_chunks::<4>().0;
    let begin = |at: usize| -> Option<usize> {
        let offset = u32::from_le_bytes(*offsets.get(at)?) as usize;
        fragments.iter().position(|place| place.start == fragments[0].start + offset)
    };
    let unclear = || {
        let what = "a frame is in several fragments, and no table of offsets says in which";
        Refusal::Unsupported(what.into())
    };
    if offsets.len() != frames {
        return Err(unclear());
    }
    let first = begin(number).ok_or_else(unclear)?;
    let last =
        if number + 1 < frames { begin(number + 1).ok_or_else(unclear)? } else { fragments.len() };
    match fragments.get(first..last) {
        Some(own) if !own.is_empty() => Ok(joined(own)),
        _ => Err(unclear()),
    }
}

fn of_jpeg(bytes: &[u8], format: &Format, notes: &mut Notes) -> Result<Values, Refusal> {
    let head = jpeg::head(bytes).map_err(refusal)?;
    let Format { rows, columns, samples, bits, .. } = *format;
    let (width, height, colours) =
        (u32::from(head.columns), u32::from(head.rows), head.components.len() as u32);
    if (height, width, colours) != (rows, columns, samples) {
        let what = format!(
            "{width} x {height} of {colours} and the file of {columns} x {rows} of {samples} \
             samples"
        );
        return Err(Refusal::Damaged(format!("its JPEG is of {what}")));
    }
    let precision = u16::from(head.precision);
    if precision > bits.allocated || (bits.high + 1 != bits.stored && precision != bits.high + 1) {
        let Bits { allocated, stored, high, .. } = bits;
        let what = format!("{stored} bits stored up to bit {high} of {allocated} allocated");
        return Err(Refusal::Unsupported(format!(
            "its JPEG has {precision} bits a sample, and the file {what}"
        )));
    }
    if bits.signed && precision < bits.stored {
        let what = format!(
            "its JPEG has {precision} bits a sample, and the file {} with a sign",
            bits.stored
        );
        return Err(Refusal::Unsupported(what));
    }
    let ybr_after_all =
        samples == 3 && is_ybr(&head, format.photometric)? && format.photometric == "RGB";
    if ybr_after_all {
        notes.insert(
            "its Photometric Interpretation is RGB and its JPEG is YBR, as which it is shown"
                .into(),
        );
    }
    if !head.ended {
        notes.insert("its JPEG has no end marker, and all of its samples".into());
    }
    let mut note = |surplus: bool| {
        if surplus {
            notes.insert("its JPEG has bytes after its last sample, which are passed over".into());
        }
    };
    let values = match (head.process, precision) {
        (Process::Lossless, _) | (_, 9..) => {
            let lossless = head.process == Process::Lossless;
            let decoded =
                if lossless { jpeg::lossless::decode(&head) } else { jpeg::dct::decode(&head) };
            let Decoded { samples, surplus } = decoded.map_err(refusal)?;
            note(surplus);
            samples
        }
        _ => {
            let Decoded { samples, surplus } = jpeg::dct::decode::<u8>(&head).map_err(refusal)?;
            note(surplus);
            if bits.allocated == 8 {
                return Ok(Values { data: samples, planar: false, ybr_after_all });
            }
            samples.into_iter().map(u16::from).collect()
        }
    };
    let data = match bits.allocated {
        8 => values.into_iter().map(|value| value as u8).collect(),
        16 => values.into_iter().flat_map(u16::to_le_bytes).collect(),
        _ => values.into_iter().flat_map(|value| u32::from(value).to_le_bytes()).collect(),
    };
    Ok(Values { data, planar: false, ybr_after_all })
}

/// Whether the three colours of a JPEG are YBR and not RGB, under a Photometric Interpretation. The
/// JPEG has marks of its own: they are believed against the file where viewers that go by either
/// agree, or where samples of different sizes can be nothing but YBR.
pub(super) fn is_ybr(head: &Head, said: &str) -> Result<bool, Refusal> {
    let named = |what: &str| {
        Refusal::Unsupported(format!(
            "its JPEG is {what}, and its Photometric Interpretation {said}"
        ))
    };
    if head.process == Process::Lossless {
        // Samples are as they were before coding, unless Adobe's mark says that they are not.
        return match (said, head.adobe) {
            ("RGB", None | Some(0)) => Ok(false),
            ("YBR_FULL", None | Some(1)) => Ok(true),
            ("RGB" | "YBR_FULL", _) => Err(named("marked otherwise by Adobe's marker")),
            _ => Err(named("lossless")),
        };
    }
    let names = head.names();
    let units = |component: &jpeg::Component| (component.across, component.down);
    let coarse =
        head.components.iter().any(|component| units(component) != units(&head.components[0]));
    // Newer versions of libjpeg take these names for colours of a wider range.
    let wide = names == [1, 34, 35] || names == *b"rgb";
    let rgb_by_name = names == *b"RGB";
    // As libjpeg takes it: by JFIF, by Adobe's marker, by the components' names.
    let ybr_by_mark = head.jfif || head.adobe.is_some_and(|transform| transform != 0);
    match (head.is_rgb_to_libjpeg(), said) {
        _ if wide => Err(named("of colours that viewers differ in")),
        (true, "RGB") if !coarse => Ok(false),
        (false, "YBR_FULL" | "YBR_FULL_422") if !rgb_by_name => Ok(true),
        (false, "RGB") if (ybr_by_mark || coarse) && !rgb_by_name && head.adobe != Some(0) => {
            Ok(true)
        }
        (true, _) => Err(named("RGB by its own marks")),
        (false, _) => Err(named("RGB or YBR, as viewers like,")),
    }
}

fn refusal(fault: jpeg::Fault) -> Refusal {
    match fault {
        jpeg::Fault::Damaged(what) => Refusal::Damaged(format!("its JPEG cannot be read: {what}")),
        jpeg::Fault::Unsupported(what) => {
            Refusal::Unsupported(format!("its JPEG is not read: {what}"))
        }
    }
}
