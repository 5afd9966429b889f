//! Whether a DICOM file holds the bytes that its lengths promise. The library makes room for a value before it reads it, and for every text in a value:
//! after this check neither is out of proportion to the file, or to what a deflated file may inflate to.
//!
//! Refused: elements, items and fragments that end after what holds them; delimiters where none belongs; sequences that nest deeper than
//! [`MAX_DEPTH`]; more than [`MAX_ELEMENTS`]; texts and numbers, other than pixels and the like, of more than [`MAX_VALUE`] bytes.
//!
//! What is a sequence here is what the library takes for one: by its VR, by the dictionary where there are no VRs, or by its undefined length.

use std::borrow::Cow;
use std::io::Read;

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_object::StandardDataDictionary;
use miniz_oxide::inflate::decompress_to_vec_with_limit;

use super::elements::{Element, Elements, ITEM, ITEM_END, MAX_DEPTH, SEQUENCE_END, UNDEFINED};
use super::{BIG_ENDIAN, DEFLATED, IMPLICIT, PIXELS};

/// The most elements and items of a file.
const MAX_ELEMENTS: usize = 1 << 19;
/// The longest value of a VR that is taken apart, in bytes.
const MAX_VALUE: u32 = 1 << 20;
/// The VRs whose values are kept as they are.
const BULK: [VR; 7] = [VR::OB, VR::OD, VR::OF, VR::OL, VR::OV, VR::OW, VR::UN];

/// Checks every length of the data set `data`, which inflates to no more than `limit` bytes if it is deflated.
pub fn check(data: &[u8], syntax: &str, limit: usize) -> Result<(), String> {
    let data = match syntax {
        DEFLATED => Cow::Owned(
            decompress_to_vec_with_limit(data, limit)
                .map_err(|_| format!("it is damaged, or inflates to more than {limit} bytes"))?,
        ),
        _ => Cow::Borrowed(data),
    };
    let elements = Elements {
        source: Read::take(&*data, data.len() as u64),
        explicit: syntax != IMPLICIT,
        big_endian: syntax == BIG_ENDIAN,
    };
    Walk { elements, seen: 0 }.data_set(0, false, 0)
}

struct Walk<'a> {
    elements: Elements<&'a [u8]>,
    /// Elements and items so far.
    seen: usize,
}

impl Walk<'_> {
    /// Elements up to the place where `end` bytes are left in the file, or up to the delimiter of the item that they are in.
    fn data_set(&mut self, end: u64, delimited: bool, depth: usize) -> Result<(), String> {
        while self.left() > end {
            // A stray byte or three at the end of a file are no element.
            if depth == 0 && self.left() < 4 {
                return Ok(());
            }
            let Element { tag, vr, length } = self.next()?;
            if tag == ITEM_END && length == 0 && delimited {
                return Ok(());
            }
            if tag.group() == ITEM.group() {
                return Err(misplaced(tag));
            }
            let vr = self.vr(tag, vr);
            match length {
                UNDEFINED if tag == PIXELS && vr != VR::SQ => self.fragments(end)?,
                UNDEFINED => self.sequence(end, true, depth + 1)?,
                _ if vr == VR::SQ => {
                    let end = self.end_of(tag, length, end)?;
                    self.sequence(end, false, depth + 1)?;
                }
                _ => {
                    self.end_of(tag, length, end)?;
                    if length > MAX_VALUE && !BULK.contains(&vr) {
                        return Err(format!("element {tag} has {length} bytes, more than {MAX_VALUE}, of {vr}"));
                    }
                    self.elements.skip(length)?;
                }
            }
        }
        self.ended(end, delimited)
    }

    fn sequence(&mut self, end: u64, delimited: bool, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("it nests sequences deeper than {MAX_DEPTH}"));
        }
        while self.left() > end {
            match self.next()? {
                Element { tag: SEQUENCE_END, length: 0, .. } if delimited => return Ok(()),
                Element { tag: ITEM, length: UNDEFINED, .. } => self.data_set(end, true, depth)?,
                Element { tag: ITEM, length, .. } => {
                    let end = self.end_of(ITEM, length, end)?;
                    self.data_set(end, false, depth)?;
                }
                Element { tag, .. } => return Err(misplaced(tag)),
            }
        }
        self.ended(end, delimited)
    }

    /// Pixel data in fragments. A file that ends after a whole fragment may lack the delimiter.
    fn fragments(&mut self, end: u64) -> Result<(), String> {
        loop {
            if end == 0 && self.left() < 8 {
                return self.elements.skip(self.left() as u32);
            }
            match self.next()? {
                Element { tag: SEQUENCE_END, length: 0, .. } => return Ok(()),
                Element { tag: ITEM, length, .. } => {
                    self.end_of(ITEM, length, end)?;
                    self.elements.skip(length)?;
                }
                Element { tag, .. } => return Err(misplaced(tag)),
            }
        }
    }

    fn next(&mut self) -> Result<Element, String> {
        self.seen += 1;
        match self.seen <= MAX_ELEMENTS {
            true => self.elements.element(),
            false => Err(format!("it has more than {MAX_ELEMENTS} elements and items")),
        }
    }

    /// The VR that the library takes an element to have.
    fn vr(&self, tag: Tag, stated: [u8; 2]) -> VR {
        match self.elements.explicit {
            true => VR::from_binary(stated).unwrap_or(VR::UN),
            false if tag == PIXELS => VR::OW,
            false => StandardDataDictionary.by_tag(tag).map_or(VR::UN, |entry| entry.vr().relaxed()),
        }
    }

    /// How many bytes of the file are left after `length` more, which must be `end` or more.
    fn end_of(&self, tag: Tag, length: u32, end: u64) -> Result<u64, String> {
        let left = self.left().saturating_sub(end);
        match u64::from(length) <= left {
            true => Ok(self.left() - u64::from(length)),
            false => Err(format!("it is cut or damaged: element {tag} promises {length} bytes where {left} are left")),
        }
    }

    fn ended(&self, end: u64, delimited: bool) -> Result<(), String> {
        match self.left() == end && !delimited {
            true => Ok(()),
            false => Err("a sequence or an item in it has no end".into()),
        }
    }

    fn left(&self) -> u64 {
        self.elements.source.limit()
    }
}

fn misplaced(tag: Tag) -> String {
    format!("it is damaged: {tag} stands where it does not belong")
}
