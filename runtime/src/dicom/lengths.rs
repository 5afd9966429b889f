//! Whether a DICOM file holds the bytes that its lengths promise. The library makes room for a value before it reads it: after this check no value is
//! longer than the file, or than what a deflated file may inflate to.
//!
//! Refused: what is no Part 10 file; elements, items and fragments that end after what holds them; sequences that nest deeper than [`MAX_DEPTH`].

use dicom_object::Tag;
use miniz_oxide::inflate::decompress_to_vec_with_limit;

use super::elements::{Element, Elements, ITEM, ITEM_END, MAX_DEPTH, SEQUENCE_END, UNDEFINED, syntax};
use super::{BIG_ENDIAN, DEFLATED, IMPLICIT, PIXELS, is_part_10};

/// Checks every length of the file `bytes`, which inflates to no more than `limit` bytes if it is deflated.
pub fn check(bytes: &[u8], limit: usize) -> Result<(), String> {
    if !is_part_10(bytes) {
        return Err("this is no DICOM Part 10 file (DICM does not stand at byte 128)".into());
    }
    let mut data = &bytes[132..];
    let syntax = syntax(&mut data)?;
    let inflated = match syntax == DEFLATED {
        true => decompress_to_vec_with_limit(data, limit)
            .map_err(|_| format!("it is damaged, or inflates to more than {limit} bytes"))?,
        false => Vec::new(),
    };
    let data = if syntax == DEFLATED { &inflated } else { data };
    let (explicit, big_endian) = (syntax != IMPLICIT, syntax == BIG_ENDIAN);
    Walk { elements: Elements { source: std::io::Read::take(data, data.len() as u64), explicit, big_endian } }
        .data_set(0, false, 0)
}

struct Walk<'a> {
    elements: Elements<&'a [u8]>,
}

impl Walk<'_> {
    /// Elements up to the place where `end` bytes are left in the file, or up to the delimiter of the item that they are in.
    fn data_set(&mut self, end: u64, delimited: bool, depth: usize) -> Result<(), String> {
        while self.left() > end {
            let Element { tag, vr, length } = self.elements.element()?;
            match length {
                _ if tag == ITEM_END && delimited => return Ok(()),
                UNDEFINED if tag == PIXELS => self.fragments(end)?,
                UNDEFINED => self.sequence(end, true, depth + 1)?,
                _ if vr == *b"SQ" || (!self.elements.explicit && self.at_item()) => {
                    let end = self.end_of(tag, length, end)?;
                    self.sequence(end, false, depth + 1)?;
                }
                _ => {
                    self.end_of(tag, length, end)?;
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
            match self.elements.element()? {
                Element { tag: SEQUENCE_END, .. } if delimited => return Ok(()),
                Element { tag: ITEM, length: UNDEFINED, .. } => self.data_set(end, true, depth)?,
                Element { tag: ITEM, length, .. } => {
                    let end = self.end_of(ITEM, length, end)?;
                    self.data_set(end, false, depth)?;
                }
                Element { tag, .. } => return Err(format!("it is damaged at element {tag}")),
            }
        }
        self.ended(end, delimited)
    }

    /// Pixel data in fragments. A file that ends after a whole fragment may lack the delimiter.
    fn fragments(&mut self, end: u64) -> Result<(), String> {
        while self.left() > end {
            match self.elements.element()? {
                Element { tag: SEQUENCE_END, .. } => break,
                Element { tag: ITEM, length, .. } => {
                    self.end_of(ITEM, length, end)?;
                    self.elements.skip(length)?;
                }
                Element { tag, .. } => return Err(format!("it is damaged at element {tag}")),
            }
        }
        Ok(())
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

    /// Whether an item begins here, in little-endian.
    fn at_item(&self) -> bool {
        self.elements.source.get_ref().starts_with(b"\xfe\xff\0\xe0")
    }
}
