//! Reads a data set element by element, without believing a length.

use std::collections::BTreeSet;
use std::ops::Range;

use dicom_core::Tag;

use super::elements::{DataSet, Element, Fault, Form, PIXELS, Value};

/// The deepest that sequences may stand in each other.
pub const MAX_DEPTH: usize = 16;
/// The most elements and items of a file.
pub const MAX_ELEMENTS: usize = 1 << 19;

const ITEM: Tag = Tag(0xfffe, 0xe000);
const ITEM_END: Tag = Tag(0xfffe, 0xe00d);
const SEQUENCE_END: Tag = Tag(0xfffe, 0xe0dd);
/// The length of what ends with a delimiter.
const UNDEFINED: u32 = u32::MAX;
/// The groups that are kept: identification, patient, image, functional groups, pixels.
const GROUPS: [u16; 5] = [0x0008, 0x0010, 0x0028, 0x5200, 0x7fe0];
/// The sequences that are looked into: tables of modality and VOI, pixel value transformation,
/// frame VOI, functional groups.
const SEQUENCES: [Tag; 6] = [
    Tag(0x0028, 0x3000),
    Tag(0x0028, 0x3010),
    Tag(0x0028, 0x9145),
    Tag(0x0028, 0x9132),
    Tag(0x5200, 0x9229),
    Tag(0x5200, 0x9230),
];
/// The VRs whose length has two bytes (PS3.5, table 7.1-2); all others have four, also those to
/// come.
const SHORT: [&[u8; 2]; 21] = [
    b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN",
    b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US",
];

struct Head {
    tag: Tag,
    vr: Option<[u8; 2]>,
    length: u32,
}

/// Where reading is.
pub(super) struct Reader<'a> {
    pub data: &'a [u8],
    pub at: usize,
    pub form: Form,
    pub last: Option<Tag>,
    /// From here on all bytes are zero.
    pub zeros: usize,
    /// Elements and items so far.
    pub count: usize,
    pub notes: &'a mut BTreeSet<String>,
}

impl Reader<'_> {
    /// Elements up to `end`, or up to the delimiter of the item that they are in.
    pub(super) fn data_set(
        &mut self,
        end: usize,
        delimited: bool,
        depth: usize,
    ) -> Result<DataSet, Fault> {
        let mut set = DataSet::default();
        while self.at < end {
            if depth == 0 && self.only_zeros() {
                self.at = end;
                break;
            }
            let start = self.at;
            let Head { tag, vr, length } = self.head()?;
            if depth == 0 && self.last.is_some_and(|last| tag > last) {
                self.at = start;
                return Ok(set);
            }
            if tag == ITEM_END && length == 0 && delimited {
                return Ok(set);
            }
            if tag.group() == ITEM.group() {
                return Err(misplaced(tag));
            }
            let looked_into =
                SEQUENCES.contains(&tag) && vr.is_none_or(|vr| [*b"SQ", *b"UN"].contains(&vr));
            let value = match length {
                UNDEFINED if tag == PIXELS && vr != Some(*b"SQ") => {
                    Value::Fragments(self.fragments(end, true, depth)?)
                }
                UNDEFINED => Value::Items(self.items(vr, end, true, depth + 1)?),
                _ => {
                    let end = self.end_of(tag, length, end)?;
                    if looked_into {
                        Value::Items(self.items(vr, end, false, depth + 1)?)
                    } else {
                        let value = Value::Bytes(self.at..end);
                        self.at = end;
                        value
                    }
                }
            };
            let value = match value {
                Value::Items(_) if !SEQUENCES.contains(&tag) => Value::Items(Vec::new()),
                value => value,
            };
            if GROUPS.contains(&tag.group()) {
                self.keep(&mut set, tag, Element { vr, value, twice: false });
            }
        }
        self.ended(end, delimited || (depth == 0 && self.last.is_some()))?;
        Ok(set)
    }

    fn keep(&self, set: &mut DataSet, tag: Tag, element: Element) {
        let same = |known: &Element| match (&known.value, &element.value) {
            (Value::Bytes(one), Value::Bytes(other)) => {
                known.vr == element.vr && self.data[one.clone()] == self.data[other.clone()]
            }
            _ => false,
        };
        match set.0.get_mut(&tag) {
            Some(known) if same(known) => {}
            Some(known) => known.twice = true,
            None => drop(set.0.insert(tag, element)),
        }
    }

    /// The items of a sequence; those of VR UN have no VRs, and those that break this rule are read
    /// too.
    fn items(
        &mut self,
        vr: Option<[u8; 2]>,
        end: usize,
        delimited: bool,
        depth: usize,
    ) -> Result<Vec<DataSet>, Fault> {
        if depth > MAX_DEPTH {
            return Err(fault(format!("it nests sequences deeper than {MAX_DEPTH}")));
        }
        let (start, form) = (self.at, self.form);
        if vr != Some(*b"UN") || !form.explicit {
            return self.items_in_form(end, delimited, depth);
        }
        self.form = Form { explicit: false, big_endian: false };
        let mut items = self.items_in_form(end, delimited, depth);
        self.form = form;
        if items.is_err() {
            self.at = start;
            let explicit = self.items_in_form(end, delimited, depth);
            if explicit.is_ok() {
                items = explicit;
                self.notes.insert("the elements of a sequence of VR UN name their VRs".into());
            }
        }
        items
    }

    fn items_in_form(
        &mut self,
        end: usize,
        delimited: bool,
        depth: usize,
    ) -> Result<Vec<DataSet>, Fault> {
        let mut items = Vec::new();
        while self.at < end {
            match self.head()? {
                Head { tag: SEQUENCE_END, length: 0, .. } if delimited => return Ok(items),
                Head { tag: ITEM, length: UNDEFINED, .. } => {
                    items.push(self.data_set(end, true, depth)?)
                }
                Head { tag: ITEM, length, .. } => {
                    let end = self.end_of(ITEM, length, end)?;
                    items.push(self.data_set(end, false, depth)?);
                }
                Head { tag, .. } => return Err(misplaced(tag)),
            }
        }
        self.ended(end, delimited)?;
        Ok(items)
    }

    /// Pixel data in fragments. A file that ends after a whole fragment may lack the delimiter.
    pub(super) fn fragments(
        &mut self,
        end: usize,
        delimited: bool,
        depth: usize,
    ) -> Result<Vec<Range<usize>>, Fault> {
        let mut fragments = Vec::new();
        loop {
            if self.at == end && !delimited {
                return Ok(fragments);
            }
            if depth == 0 && end - self.at < 8 {
                self.at = end;
                return Ok(fragments);
            }
            match self.head()? {
                Head { tag: SEQUENCE_END, length: 0, .. } => return Ok(fragments),
                Head { tag: ITEM, length, .. } => {
                    let end = self.end_of(ITEM, length, end)?;
                    fragments.push(self.at..end);
                    self.at = end;
                }
                Head { tag, .. } => return Err(misplaced(tag)),
            }
        }
    }

    /// The next element or item up to its value.
    fn head(&mut self) -> Result<Head, Fault> {
        self.count += 1;
        if self.count > MAX_ELEMENTS {
            return Err(fault(format!("it has more than {MAX_ELEMENTS} elements and items")));
        }
        let tag = Tag(self.u16()?, self.u16()?);
        if !self.form.explicit || tag.group() == ITEM.group() {
            return Ok(Head { tag, vr: None, length: self.u32()? });
        }
        let vr: [u8; 2] = self.bytes()?;
        if !vr.iter().all(u8::is_ascii_uppercase) {
            self.at -= 2;
            self.notes.insert("an element without VR stands among others that have one".into());
            return Ok(Head { tag, vr: None, length: self.u32()? });
        }
        let length = if SHORT.contains(&&vr) {
            self.u16()?.into()
        } else {
            self.u16()?;
            self.u32()?
        };
        Ok(Head { tag, vr: Some(vr), length })
    }

    /// Whether nothing but zeros is left, or a stray byte or three; both are no element.
    fn only_zeros(&mut self) -> bool {
        let left = self.data.len() - self.at;
        if left >= 4 && self.at >= self.zeros {
            self.notes.insert("zeros stand after its last element".into());
        }
        left < 4 || self.at >= self.zeros
    }

    /// Where a value of `length` bytes ends, which may not be after `end`.
    fn end_of(&self, tag: Tag, length: u32, end: usize) -> Result<usize, Fault> {
        let left = end.saturating_sub(self.at);
        if length as usize <= left {
            Ok(self.at + length as usize)
        } else {
            let what = format!(
                "it is cut or damaged: element {tag} promises {length} bytes where {left} are left"
            );
            Err(Fault { what, ended: end == self.data.len() })
        }
    }

    fn ended(&self, end: usize, delimited: bool) -> Result<(), Fault> {
        if self.at == end && !delimited {
            Ok(())
        } else {
            Err(Fault {
                what: "a sequence or an item in it has no end".into(),
                ended: end == self.data.len(),
            })
        }
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let bytes = self.data.get(self.at..).and_then(<[u8]>::first_chunk);
        let bytes = *bytes.ok_or_else(|| Fault {
            what: "the DICOM file ends within an element".into(),
            ended: true,
        })?;
        self.at += N;
        Ok(bytes)
    }

    fn u16(&mut self) -> Result<u16, Fault> {
        let big_endian = self.form.big_endian;
        self.bytes().map(if big_endian { u16::from_be_bytes } else { u16::from_le_bytes })
    }

    fn u32(&mut self) -> Result<u32, Fault> {
        let big_endian = self.form.big_endian;
        self.bytes().map(if big_endian { u32::from_be_bytes } else { u32::from_le_bytes })
    }
}

fn misplaced(tag: Tag) -> Fault {
    fault(format!("it is damaged: {tag} stands where it does not belong"))
}

fn fault(what: String) -> Fault {
    Fault { what, ended: false }
}
