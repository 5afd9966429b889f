//! Values of a data set's elements, by what they are wanted for. A value of VR UN has the VR of the
//! data dictionary (PS3.5 6.2.2). A decimal comma is read as a point, with a note, where it can be
//! nothing else.
//!
//! Refused: a value that is there and cannot be read, by tag and text; one that is there twice and
//! differs. An empty value counts as none.

use std::collections::BTreeSet;

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_object::StandardDataDictionary;

use super::dataset::{DataSet, Value};

/// A data set with the bytes that it points into, and what was odd about the values so far.
pub struct Attributes<'a> {
    pub data: &'a [u8],
    pub set: &'a DataSet,
    pub big_endian: bool,
}

/// What was odd and read all the same, in words.
pub type Notes = BTreeSet<String>;

impl<'a> Attributes<'a> {
    /// The same for an item of this set.
    pub fn of(&self, set: &'a DataSet) -> Self {
        Attributes { data: self.data, set, big_endian: self.big_endian }
    }

    /// The bytes of a value, and its VR.
    pub fn bytes(&self, tag: Tag) -> Result<Option<(&'a [u8], VR)>, String> {
        let Some(element) = self.set.get(tag) else { return Ok(None) };
        if element.twice {
            return Err(format!("{} is there twice, with different values", name(tag)));
        }
        let Value::Bytes(place) = &element.value else {
            return Err(format!("{} is a sequence, which it should not be", name(tag)));
        };
        let stated = element.vr.and_then(VR::from_binary).filter(|vr| *vr != VR::UN);
        let vr = stated.or_else(|| Some(StandardDataDictionary.by_tag(tag)?.vr().relaxed()));
        let value = &self.data[place.clone()];
        let binary = !matches!(vr, Some(VR::CS | VR::DS | VR::IS | VR::UI | VR::LO | VR::AS));
        if stated.is_none() && self.big_endian && binary && !value.is_empty() {
            let why = "is of VR UN in a big-endian file, so that nobody knows its order of bytes";
            return Err(format!("{} {why}", name(tag)));
        }
        Ok((!value.is_empty()).then_some((value, vr.unwrap_or(VR::UN))))
    }

    /// A text of one value or several, without the spaces around it.
    pub fn text(&self, tag: Tag) -> Result<Option<&'a str>, String> {
        let Some((bytes, vr)) = self.bytes(tag)? else { return Ok(None) };
        let text = std::str::from_utf8(bytes).ok().filter(|text| text.is_ascii());
        match text.map(|text| text.trim_matches(['\0', ' '])) {
            Some(text) if is_text(vr) => Ok(Some(text).filter(|text| !text.is_empty())),
            _ => Err(format!("{} is no text of plain letters", name(tag))),
        }
    }

    /// The first of an element's numbers.
    pub fn number(&self, tag: Tag, notes: &mut Notes) -> Result<Option<f64>, String> {
        let Some((bytes, vr)) = self.bytes(tag)? else { return Ok(None) };
        if !is_text(vr) {
            return Ok(self.numbers(tag, bytes, vr)?.first().copied());
        }
        let Some(text) = self.text(tag)? else { return Ok(None) };
        let first = text.split('\\').next().unwrap_or_default().trim_matches(' ');
        match decimal(first) {
            Some((value, comma)) => {
                if comma {
                    notes
                        .insert(format!("the comma in {} {first:?} is read as a point", name(tag)));
                }
                Ok(Some(value))
            }
            None => {
                let shown: String = first.chars().take(32).collect();
                Err(format!("{} is {shown:?}, which is no number", name(tag)))
            }
        }
    }

    /// The first of an element's whole numbers.
    pub fn integer(&self, tag: Tag, notes: &mut Notes) -> Result<Option<i64>, String> {
        let Some(value) = self.number(tag, notes)? else { return Ok(None) };
        if value.fract() == 0.0 && value.abs() < 9e15 {
            Ok(Some(value as i64))
        } else {
            Err(format!("{} is {value}, which is no whole number", name(tag)))
        }
    }

    /// All of an element's whole numbers in binary.
    pub fn integers(&self, tag: Tag) -> Result<Option<Vec<i64>>, String> {
        let Some((bytes, vr)) = self.bytes(tag)? else { return Ok(None) };
        let numbers = self.numbers(tag, bytes, vr)?;
        Ok(Some(numbers.into_iter().map(|value| value as i64).collect()))
    }

    /// Number of Frames, of which none and 0 are 1.
    pub fn frames(&self, notes: &mut Notes) -> Result<u32, String> {
        match self.integer(FRAMES, notes)? {
            None => Ok(1),
            Some(0) => {
                notes.insert("it says that it has 0 frames, and is read as one".into());
                Ok(1)
            }
            Some(frames) => {
                u32::try_from(frames).map_err(|_| format!("{} is {frames}", name(FRAMES)))
            }
        }
    }

    /// The items of a sequence.
    pub fn items(&self, tag: Tag) -> Result<&'a [DataSet], String> {
        match self.set.get(tag) {
            None => Ok(&[]),
            Some(element) if element.twice => Err(format!("{} is there twice", name(tag))),
            Some(element) => match &element.value {
                Value::Items(items) => Ok(items),
                Value::Bytes(place) if place.is_empty() => Ok(&[]),
                _ => Err(format!("{} is no sequence", name(tag))),
            },
        }
    }

    /// Words of 16 bits, in the order of the file's bytes.
    pub fn words(&self, bytes: &[u8]) -> Vec<u16> {
        let read = if self.big_endian { u16::from_be_bytes } else { u16::from_le_bytes };
        bytes.as_chunks::<2>().0.iter().map(|pair| read(*pair)).collect()
    }

    fn numbers(&self, tag: Tag, bytes: &[u8], vr: VR) -> Result<Vec<f64>, String> {
        let width = match vr {
            VR::US | VR::SS | VR::OW => 2,
            VR::UL | VR::SL | VR::FL => 4,
            VR::FD | VR::UV | VR::SV => 8,
            _ => return Err(format!("{} is of VR {vr}, which holds no numbers", name(tag))),
        };
        if !bytes.len().is_multiple_of(width) {
            return Err(format!("{} has {} bytes, no multiple of {width}", name(tag), bytes.len()));
        }
        let number = |bytes: &[u8]| {
            let mut little = [0; 8];
            for (at, byte) in bytes.iter().enumerate() {
                little[if self.big_endian { width - 1 - at } else { at }] = *byte;
            }
            let all = u64::from_le_bytes(little);
            match vr {
                VR::SS => f64::from(all as u16 as i16),
                VR::SL => f64::from(all as u32 as i32),
                VR::SV => all as i64 as f64,
                VR::FL => f64::from(f32::from_bits(all as u32)),
                VR::FD => f64::from_bits(all),
                _ => all as f64,
            }
        };
        let numbers: Vec<f64> = bytes.chunks(width).map(number).collect();
        if numbers.iter().all(|number| number.is_finite()) {
            Ok(numbers)
        } else {
            Err(format!("{} is no finite number", name(tag)))
        }
    }
}

/// Number of Frames.
pub const FRAMES: Tag = Tag(0x0028, 0x0008);

/// What an element is called, with its tag.
pub fn name(tag: Tag) -> String {
    match StandardDataDictionary.by_tag(tag) {
        Some(entry) => format!("{} {tag}", entry.alias()),
        None => format!("element {tag}"),
    }
}

/// A decimal or integer string (PS3.5 6.2), and whether its point is a comma. Three digits after a
/// comma may be thousands, unless zero stands before it.
fn decimal(text: &str) -> Option<(f64, bool)> {
    let plain = |text: &str| {
        let known = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
        known.then(|| text.parse().ok()).flatten().filter(|value: &f64| value.is_finite())
    };
    if let Some(value) = plain(text) {
        return Some((value, false));
    }
    let (whole, rest) = text.split_once(',')?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let thousands = digits == 3 && whole.trim_start_matches(['+', '-']) != "0";
    let ambiguous = thousands || rest.contains(['.', ',']) || whole.contains('.');
    if ambiguous {
        return None;
    }
    Some((plain(&format!("{whole}.{rest}"))?, true))
}

fn is_text(vr: VR) -> bool {
    matches!(
        vr,
        VR::CS | VR::DS | VR::IS | VR::UI | VR::LO | VR::SH | VR::AS | VR::DA | VR::ST | VR::LT
    )
}

#[cfg(test)]
mod tests;
