//! Stored values as the fields of an image describe them.

use medforge_runtime::stored::{Bits, Function, Modality, Photometric, Stored, Table, Voi};

use super::structs::{Image, Lut};
use crate::last_error::Failure;
use crate::pointer::input;
use crate::status::Status;

/// The stored values that an image describes.
///
/// # Safety
/// The tables' pointers are NULL or reach as far as the tables say.
pub(super) unsafe fn stored<'a>(image: &Image, data: &'a [u8]) -> Result<Stored<'a>, Failure> {
    let bits = bits(image)?;
    // SAFETY: the caller's promise.
    let photometric = unsafe { photometric(image)? };
    let samples =
        if matches!(photometric, Photometric::Rgb | Photometric::YbrFull) { 3 } else { 1 };
    if image.samples != 0 && image.samples != samples {
        return Err(wrong(format!(
            "image.samples is {} where photometric has {samples}",
            image.samples
        )));
    }
    // SAFETY: the caller's promise.
    let (modality, voi) = unsafe { (modality(image)?, voi(image)?) };
    let padding = (image.has_padding != 0).then_some(image.padding_first..=image.padding_last);
    let one = Stored {
        data,
        rows: image.rows,
        columns: image.columns,
        stride: (image.stride != 0).then_some(image.stride),
        bits,
        photometric,
        planar: image.planar != 0 && samples == 3,
        modality,
        voi,
        padding,
    };
    one.at(image.frame).map_err(Failure::from)
}

/// How a sample lies in its bytes.
fn bits(image: &Image) -> Result<Bits, Failure> {
    let narrow = |what: &str, value: u32| {
        u16::try_from(value)
            .map_err(|_| wrong(format!("image.{what} is {value}, which is too large")))
    };
    let allocated = narrow("bits_allocated", image.bits_allocated)?;
    let stored =
        if image.bits_stored == 0 { allocated } else { narrow("bits_stored", image.bits_stored)? };
    let high = if image.high_bit == 0 {
        stored.saturating_sub(1)
    } else {
        narrow("high_bit", image.high_bit)?
    };
    let (signed, big_endian) = (image.is_signed != 0, image.big_endian != 0);
    Ok(Bits { allocated, stored, high, signed, big_endian })
}

/// # Safety
/// As for [`stored`].
unsafe fn photometric(image: &Image) -> Result<Photometric<'static>, Failure> {
    Ok(match image.photometric {
        0 => Photometric::Monochrome2,
        1 => Photometric::Monochrome1,
        2 => Photometric::Rgb,
        3 => Photometric::YbrFull,
        4 => {
            let [red, green, blue] = image.palette;
            // SAFETY: the caller's promise for each table.
            unsafe {
                Photometric::Palette([
                    lut(red, "palette[0]")?,
                    lut(green, "palette[1]")?,
                    lut(blue, "palette[2]")?,
                ])
            }
        }
        other => return Err(wrong(format!("image.photometric is {other}, which is none"))),
    })
}

/// # Safety
/// As for [`stored`].
unsafe fn modality(image: &Image) -> Result<Modality<'static>, Failure> {
    Ok(if image.modality_lut.is_null() {
        let slope = if image.rescale_slope == 0.0 { 1.0 } else { image.rescale_slope };
        Modality::Linear { slope, intercept: image.rescale_intercept }
    } else {
        // SAFETY: the caller's promise.
        Modality::Table(unsafe { lut(image.modality_lut, "modality_lut")? })
    })
}

/// # Safety
/// As for [`stored`].
unsafe fn voi(image: &Image) -> Result<Voi<'static>, Failure> {
    let window =
        |function| Voi::Window { center: image.window_center, width: image.window_width, function };
    Ok(match image.voi {
        0 => Voi::Range,
        1 => window(Function::Linear),
        2 => window(Function::LinearExact),
        3 => window(Function::Sigmoid),
        // SAFETY: the caller's promise.
        4 => Voi::Table(unsafe { lut(image.voi_lut, "voi_lut")? }),
        other => return Err(wrong(format!("image.voi is {other}, which is none"))),
    })
}

/// # Safety
/// `pointer` is NULL or points to a table whose entries are there.
unsafe fn lut(pointer: *const Lut, name: &str) -> Result<Table<'static>, Failure> {
    // SAFETY: not NULL, and the caller promises a table there.
    let lut = unsafe { *input(pointer, &format!("image.{name}"))? };
    let entries = input(lut.entries, &format!("image.{name}->entries"))?;
    if lut.count > MOST_ENTRIES {
        return Err(wrong(format!(
            "image.{name} has {} entries, more than {MOST_ENTRIES}",
            lut.count
        )));
    }
    // SAFETY: not NULL, and the caller promises as many entries.
    let entries = unsafe { std::slice::from_raw_parts(entries, lut.count) };
    let bits = u16::try_from(lut.bits).unwrap_or(u16::MAX);
    Ok(Table { first: lut.first_value.into(), bits, entries: entries.to_vec().into() })
}

/// Entries of a table: what 16 bits can number.
const MOST_ENTRIES: usize = 1 << 16;

pub(super) fn wrong(text: String) -> Failure {
    Failure::new(Status::Pixels, text)
}
