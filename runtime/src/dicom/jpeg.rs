//! Frames in JPEG (baseline, extended, progressive and lossless; which of them, the JPEG says), and
//! whether their colours are RGB or YBR.
//!
//! Refused: JPEGs of another size than the file says or of more bits than it has room for, and
//! colours of which viewers show different ones.

use super::attributes::Notes;
use super::format::{Format, Refusal, Values};
use crate::jpeg::{self, Decoded, Head, Process};
use crate::stored::Bits;

/// The values of a frame in JPEG.
///
/// # Errors
/// [`Refusal`] for what the module's head says is refused, and for damaged data.
pub fn of_jpeg(bytes: &[u8], format: &Format, notes: &mut Notes) -> Result<Values, Refusal> {
    let head = jpeg::head(bytes).map_err(refusal)?;
    check(&head, format)?;
    let (samples, bits) = (format.samples, format.bits);
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
    let lossless = head.process == Process::Lossless;
    if !lossless && head.precision <= 8 && bits.allocated == 8 {
        let samples = noted(jpeg::dct::decode(&head), notes)?;
        return Ok(Values { data: samples, planar: false, ybr_after_all });
    }
    let values: Vec<u16> = if lossless {
        noted(jpeg::lossless::decode(&head), notes)?
    } else if head.precision > 8 {
        noted(jpeg::dct::decode(&head), notes)?
    } else {
        noted(jpeg::dct::decode::<u8>(&head), notes)?.into_iter().map(u16::from).collect()
    };
    let data = match bits.allocated {
        8 => values.into_iter().map(|value| value as u8).collect(),
        16 => values.into_iter().flat_map(u16::to_le_bytes).collect(),
        _ => values.into_iter().flat_map(|value| u32::from(value).to_le_bytes()).collect(),
    };
    Ok(Values { data, planar: false, ybr_after_all })
}

/// Whether the JPEG is of the size and bits that the file says.
fn check(head: &Head, format: &Format) -> Result<(), Refusal> {
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
    Ok(())
}

/// The samples, with a note if bytes follow them.
fn noted<S>(
    decoded: Result<Decoded<S>, jpeg::Fault>,
    notes: &mut Notes,
) -> Result<Vec<S>, Refusal> {
    let Decoded { samples, surplus } = decoded.map_err(refusal)?;
    if surplus {
        notes.insert("its JPEG has bytes after its last sample, which are passed over".into());
    }
    Ok(samples)
}

/// Whether the three colours of a JPEG are YBR and not RGB, under a Photometric Interpretation.
///
/// The JPEG has marks of its own. They are believed against the file where all viewers agree,
/// whether they go by the file or by the marks. They are also believed where samples of different
/// sizes can be nothing but YBR.
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
        (false, _) => Err(named("RGB to some viewers and YBR to others")),
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
