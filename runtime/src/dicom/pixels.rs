//! The stored values of one frame: native, in RLE, or in JPEG.
//!
//! Refused: chroma that is stored more coarsely without JPEG, and what the ways of coding refuse.

use super::attributes::Notes;
use super::dataset::{Element, Value};
use super::format::{Coding, Format, Refusal, Values};
use super::fragments::{fragments_within, frame_of};
use super::jpeg::of_jpeg;
use super::rle;

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

/// Pixels as they are, frame after frame.
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
