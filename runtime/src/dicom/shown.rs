//! How a frame's stored values are shown: by slope and intercept, windows and tables. They are
//! those of the frame's own functional groups (PS3.3 C.7.6.16). Where these say nothing, the shared
//! groups count, and then the file.
//!
//! Refused:
//!
//! - items that are more or fewer than the frames,
//! - tables that are missing, segmented or shorter than they say,
//! - values that are there and cannot be read.

use dicom_core::Tag;

use super::attributes::{Attributes, Notes, name};
use super::dataset::DataSet;
use crate::stored::{Bits, Function, Modality, Photometric, Table, Voi};

/// What a frame is shown by.
pub struct Shown {
    pub modality: Modality<'static>,
    pub voi: Voi<'static>,
    pub padding: Option<std::ops::RangeInclusive<i64>>,
}

/// What frame `number` of `frames` of gray is shown by.
pub fn gray(
    file: &Attributes,
    number: u32,
    frames: u32,
    bits: Bits,
    notes: &mut Notes,
) -> Result<Shown, String> {
    let own = |macro_tag| groups(file, number, frames, macro_tag);
    let transformed = own(TRANSFORMATION)?;
    let windowed = own(FRAME_VOI)?;
    let modality = match transformed.as_ref().unwrap_or(file).items(MODALITY_LUT)?.first() {
        Some(item) => Modality::Table(entries(&file.of(item), DESCRIPTOR, DATA, bits.signed)?),
        None => {
            let from = transformed.as_ref().unwrap_or(file);
            let slope = from.number(SLOPE, notes)?.unwrap_or(1.0);
            Modality::Linear { slope, intercept: from.number(INTERCEPT, notes)?.unwrap_or(0.0) }
        }
    };
    let from = windowed.as_ref().unwrap_or(file);
    let voi = match from.items(VOI_LUT)?.first() {
        Some(item) => {
            let table = entries(&file.of(item), DESCRIPTOR, DATA, bits.signed)?;
            Voi::Table(narrowed(table, bits, notes)?)
        }
        None => window(from, notes)?,
    };
    let end = |tag, notes: &mut Notes| -> Result<Option<i64>, String> {
        Ok(file.integer(tag, notes)?.map(|value| extended(value, bits.signed)))
    };
    let padding = match (end(PADDING, notes)?, end(PADDING_LIMIT, notes)?) {
        (Some(one), other) => {
            let other = other.unwrap_or(one);
            Some(one.min(other)..=one.max(other))
        }
        (None, _) => None,
    };
    Ok(Shown { modality, voi, padding })
}

/// The three tables of a palette.
pub fn palette(file: &Attributes) -> Result<Photometric<'static>, String> {
    let channel = |number: u16| {
        entries(file, Tag(0x0028, 0x1100 + number), Tag(0x0028, 0x1200 + number), false)
    };
    Ok(Photometric::Palette([channel(1)?, channel(2)?, channel(3)?]))
}

const SHARED: Tag = Tag(0x5200, 0x9229);
const PER_FRAME: Tag = Tag(0x5200, 0x9230);
const TRANSFORMATION: Tag = Tag(0x0028, 0x9145);
const FRAME_VOI: Tag = Tag(0x0028, 0x9132);
const MODALITY_LUT: Tag = Tag(0x0028, 0x3000);
const VOI_LUT: Tag = Tag(0x0028, 0x3010);
const DESCRIPTOR: Tag = Tag(0x0028, 0x3002);
const DATA: Tag = Tag(0x0028, 0x3006);
const SLOPE: Tag = Tag(0x0028, 0x1053);
const INTERCEPT: Tag = Tag(0x0028, 0x1052);
const CENTER: Tag = Tag(0x0028, 0x1050);
const WIDTH: Tag = Tag(0x0028, 0x1051);
const FUNCTION: Tag = Tag(0x0028, 0x1056);
const PADDING: Tag = Tag(0x0028, 0x0120);
const PADDING_LIMIT: Tag = Tag(0x0028, 0x0121);

/// The item of a functional group that frame `number` has, or that all share; none where neither
/// is.
fn groups<'a>(
    file: &Attributes<'a>,
    number: u32,
    frames: u32,
    group: Tag,
) -> Result<Option<Attributes<'a>>, String> {
    let items = file.items(PER_FRAME)?;
    if !items.is_empty() && items.len() != frames as usize {
        let tag = name(PER_FRAME);
        return Err(format!("{tag} has {} items, and the file {frames} frames", items.len()));
    }
    let first = |set: Option<&'a DataSet>| -> Result<Option<&'a DataSet>, String> {
        let Some(set) = set else { return Ok(None) };
        Ok(file.of(set).items(group)?.first())
    };
    let own = first(items.get(number as usize))?;
    let shared = match own {
        Some(_) => None,
        None => first(file.items(SHARED)?.first())?,
    };
    Ok(own.or(shared).map(|set| file.of(set)))
}

fn window(from: &Attributes, notes: &mut Notes) -> Result<Voi<'static>, String> {
    let (center, width) = (from.number(CENTER, notes)?, from.number(WIDTH, notes)?);
    let (center, width) = match (center, width) {
        (Some(center), Some(width)) => (center, width),
        (None, None) => return Ok(Voi::Range),
        (center, _) => {
            let (there, missing) = if center.is_some() { (CENTER, WIDTH) } else { (WIDTH, CENTER) };
            notes.insert(format!(
                "{} without {} is no window: the whole range is shown",
                name(there),
                name(missing)
            ));
            return Ok(Voi::Range);
        }
    };
    let function = match from.text(FUNCTION)? {
        None | Some("LINEAR") => Function::Linear,
        Some("LINEAR_EXACT") => Function::LinearExact,
        Some("SIGMOID") => Function::Sigmoid,
        Some(other) => {
            let other: String = other.chars().take(32).collect();
            return Err(format!("{} is {other:?}, which is none that is known", name(FUNCTION)));
        }
    };
    if width == 0.0 {
        notes.insert("a window of width 0 is taken as none: the whole range is shown".into());
        return Ok(Voi::Range);
    }
    if function == Function::Linear && width > 0.0 && width < 1.0 {
        // LINEAR has no meaning below 1 (PS3.3 C.11.2.1.2.1).
        notes.insert(format!(
            "a window of width {width} is shown as LINEAR_EXACT, since LINEAR begins at 1"
        ));
        return Ok(Voi::Window { center, width, function: Function::LinearExact });
    }
    Ok(Voi::Window { center, width, function })
}

/// A table that says more bits than its entries have (Agfa's say 16 and have 12). It is of the
/// pixels' bits where its entries fill these; where they fill neither, nobody knows what white is.
fn narrowed(
    table: Table<'static>,
    bits: Bits,
    notes: &mut Notes,
) -> Result<Table<'static>, String> {
    let most = table.entries.iter().max().copied().unwrap_or(0);
    let needed = (u16::BITS - most.leading_zeros()).max(8) as u16;
    let (said, stored, tag) = (table.bits, bits.stored, name(DESCRIPTOR));
    let short = said.saturating_sub(needed);
    if needed > said {
        return Err(format!("{tag} says {said} bits, and an entry of the table is {most}"));
    }
    if short < 2 || (short < 4 && said <= stored) {
        return Ok(table);
    }
    if needed == stored || needed + 1 == stored {
        notes.insert(format!(
            "the VOI table says {said} bits; its entries go up to {most} and are shown as {stored} \
             bits, as the pixels are"
        ));
        return Ok(Table { bits: stored, ..table });
    }
    Err(format!(
        "{tag} says {said} bits, and no entry of the table is over {most}: what is white cannot be \
         told"
    ))
}

/// A table by its descriptor (PS3.3 C.11.1.1): entries, of which 0 means 65,536; the first value;
/// bits.
fn entries(
    item: &Attributes,
    descriptor: Tag,
    data: Tag,
    signed: bool,
) -> Result<Table<'static>, String> {
    let missing = || format!("the lookup table of {} is missing or segmented", name(descriptor));
    let described = item.integers(descriptor)?.ok_or_else(missing)?;
    let [count, first, bits] = described[..] else {
        return Err(format!("{} has {} values in place of 3", name(descriptor), described.len()));
    };
    let count = match count & 0xffff {
        0 => 1 << 16,
        count => count as usize,
    };
    let (bytes, vr) = item.bytes(data)?.ok_or_else(missing)?;
    let entries: Vec<u16> = match bytes.len() {
        length if length >= 2 * count => item.words(bytes),
        length if length >= count => {
            // Two a word, the first in the low byte.
            let swapped = item.big_endian && vr != dicom_core::VR::OB;
            let pairs = item.words(bytes).into_iter().flat_map(u16::to_le_bytes);
            let last = bytes.get(bytes.len() & !1..).unwrap_or_default().iter().copied();
            if swapped {
                pairs.chain(last).map(u16::from).collect()
            } else {
                bytes.iter().map(|&byte| byte.into()).collect()
            }
        }
        length => return Err(format!("a lookup table of {count} entries has {length} bytes")),
    };
    // Eight bits in words may stand for sixteen: then some entry is larger.
    let widest = entries.iter().take(count).max().copied().unwrap_or(0);
    let bits = match u16::try_from(bits) {
        Ok(8) if widest > 0xff => 16,
        Ok(bits) if (8..=16).contains(&bits) => bits,
        _ => return Err(format!("{} says {bits} bits an entry, not 8 to 16", name(descriptor))),
    };
    Ok(Table { first: extended(first, signed), bits, entries: entries[..count].to_vec().into() })
}

/// A 16-bit value that a file without VRs gives unsigned.
fn extended(value: i64, signed: bool) -> i64 {
    if signed && (0x8000..=0xffff).contains(&value) { value - 0x1_0000 } else { value }
}
