//! Elements of command sets and of the beginnings of data sets, read where they lie. No length that
//! they state is believed before as many bytes are there.

use dicom_dictionary_std::{tags, uids};
use miniz_oxide::inflate::decompress_to_vec_with_limit;

use crate::Result;

type Tag = (u16, u16);
/// A tag and its value; none of a sequence of undefined length.
type Element<'a> = (Tag, Option<&'a [u8]>);

/// How deep sequences may lie in one another.
const MAX_DEPTH: usize = 16;
/// The length of a value that ends with a delimiter.
const UNDEFINED: u32 = u32::MAX;
const ITEM: Tag = (0xfffe, 0xe000);
const ITEM_END: Tag = (0xfffe, 0xe00d);
const SEQUENCE_END: Tag = (0xfffe, 0xe0dd);

/// The elements of some bytes, little-endian.
struct Elements<'a> {
    bytes: &'a [u8],
    explicit: bool,
}

impl<'a> Elements<'a> {
    fn next(&mut self) -> Result<Option<Element<'a>>> {
        if self.bytes.is_empty() {
            return Ok(None);
        }
        let (tag, length) = self.head()?;
        if length != UNDEFINED {
            return Ok(Some((tag, Some(self.take(length as usize)?))));
        }
        self.skip_items(0)?;
        Ok(Some((tag, None)))
    }

    /// An element's tag and length.
    fn head(&mut self) -> Result<(Tag, u32)> {
        let tag = (self.u16()?, self.u16()?);
        if !self.explicit || tag.0 == ITEM.0 {
            return Ok((tag, self.u32()?));
        }
        let long = [
            b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT",
            b"UV",
        ];
        let vr = self.take(2)?;
        if long.iter().any(|long| *long == vr) {
            self.take(2)?;
            return Ok((tag, self.u32()?));
        }
        Ok((tag, self.u16()?.into()))
    }

    /// Goes beyond a sequence of undefined length.
    fn skip_items(&mut self, depth: usize) -> Result<()> {
        if depth > MAX_DEPTH {
            return Err(format!("sequences lie more than {MAX_DEPTH} deep in one another").into());
        }
        loop {
            match self.head()? {
                (SEQUENCE_END, _) => return Ok(()),
                (ITEM, UNDEFINED) => self.skip_item(depth)?,
                (ITEM, length) => drop(self.take(length as usize)?),
                _ => return Err("a sequence holds something else than items".into()),
            }
        }
    }

    fn skip_item(&mut self, depth: usize) -> Result<()> {
        loop {
            match self.head()? {
                (ITEM_END, _) => return Ok(()),
                (_, UNDEFINED) => self.skip_items(depth + 1)?,
                (_, length) => drop(self.take(length as usize)?),
            }
        }
    }

    fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_le_bytes(self.take(2)?.try_into()?))
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.take(4)?.try_into()?))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) =
            self.bytes.split_at_checked(length).ok_or("an element ends beyond its data set")?;
        self.bytes = rest;
        Ok(taken)
    }
}

/// What is asked of the node, or answered to it.
#[derive(Default, Debug)]
pub struct Command {
    pub field: Option<u16>,
    pub message: Option<u16>,
    pub class: Option<String>,
    pub instance: Option<String>,
    pub has_data: bool,
    pub status: Option<u16>,
}

impl Command {
    /// Reads a command set (PS3.7, 6.3.1: implicit VR, little-endian).
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let mut elements = Elements { bytes, explicit: false };
        let mut command = Command::default();
        while let Some((tag, value)) = elements.next()? {
            let value = value.unwrap_or_default();
            let number = || value.first_chunk().map(|bytes| u16::from_le_bytes(*bytes));
            match dicom_core::Tag(tag.0, tag.1) {
                tags::COMMAND_FIELD => command.field = number(),
                tags::MESSAGE_ID => command.message = number(),
                tags::AFFECTED_SOP_CLASS_UID => command.class = Some(text(value)?),
                tags::AFFECTED_SOP_INSTANCE_UID => command.instance = Some(text(value)?),
                tags::COMMAND_DATA_SET_TYPE => {
                    command.has_data = number().is_some_and(|kind| kind != 0x0101)
                }
                tags::STATUS => command.status = number(),
                _ => {}
            }
        }
        Ok(command)
    }
}

/// How many bytes of a data set say what it is.
pub const BEGINNING: u64 = 1 << 16;

/// SOP Class and SOP Instance UID of the data set that begins with `bytes`.
pub fn identity(bytes: &[u8], syntax: &str) -> Result<(String, String)> {
    let inflated;
    let bytes = if syntax == uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN {
        // What comes out before the limit, or before the bytes end, is the beginning.
        inflated = decompress_to_vec_with_limit(bytes, BEGINNING as usize)
            .unwrap_or_else(|failed| failed.output);
        &inflated[..]
    } else {
        bytes
    };
    let mut elements = Elements { bytes, explicit: syntax != uids::IMPLICIT_VR_LITTLE_ENDIAN };
    let (mut class, mut last) = (None, (0, 0));
    while let Some((tag, value)) = elements.next()? {
        if tag < last {
            return Err("its elements are out of order".into());
        }
        last = tag;
        match (dicom_core::Tag(tag.0, tag.1), value) {
            (tags::SOP_CLASS_UID, Some(value)) => class = Some(text(value)?),
            (tags::SOP_INSTANCE_UID, Some(value)) => {
                return Ok((class.ok_or("it has no SOP Class UID")?, text(value)?));
            }
            _ if tag > (0x0008, 0x0018) => break,
            _ => {}
        }
    }
    Err("it has no SOP Instance UID".into())
}

fn text(value: &[u8]) -> Result<String> {
    Ok(std::str::from_utf8(value)?.trim_end_matches(['\0', ' ']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explicit(tag: Tag, vr: &[u8; 2], value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(value.len()).unwrap().to_le_bytes();
        [&tag.0.to_le_bytes()[..], &tag.1.to_le_bytes(), vr, &length, value].concat()
    }

    #[test]
    fn a_data_set_says_what_it_is_behind_sequences_of_every_kind() {
        // A Language Code Sequence of undefined length, with an item and a sequence in it.
        let inner =
            [b"\x08\x00\x06\x00SQ\0\0\xff\xff\xff\xff\xfe\xff\xdd\xe0\0\0\0\0".as_slice()].concat();
        let item =
            [b"\xfe\xff\x00\xe0\xff\xff\xff\xff", &*inner, b"\xfe\xff\x0d\xe0\0\0\0\0"].concat();
        let sequence =
            [b"\x08\x00\x06\x00SQ\0\0\xff\xff\xff\xff", &*item, b"\xfe\xff\xdd\xe0\0\0\0\0"]
                .concat();
        let ids = [explicit((8, 0x16), b"UI", b"1.2.3\0"), explicit((8, 0x18), b"UI", b"1.2.4 ")]
            .concat();
        let whole = [explicit((8, 5), b"CS", b"ISO_IR 100"), sequence, ids].concat();
        let expected = ("1.2.3".to_owned(), "1.2.4".to_owned());
        assert_eq!(identity(&whole, uids::EXPLICIT_VR_LITTLE_ENDIAN).unwrap(), expected);
        let deflated = miniz_oxide::deflate::compress_to_vec(&whole, 6);
        assert_eq!(
            identity(&deflated, uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN).unwrap(),
            expected
        );
        for end in 0..whole.len() {
            assert!(identity(&whole[..end], uids::EXPLICIT_VR_LITTLE_ENDIAN).is_err(), "{end}");
        }
    }

    #[test]
    fn lengths_that_lie_and_sequences_without_end_are_refused_at_no_cost() {
        // A value of four gigabytes, in a command and in a data set.
        let lie = b"\x00\x00\x00\x01\xfe\xff\xff\xff1234";
        assert!(Command::read(lie).is_err());
        assert!(identity(lie, uids::IMPLICIT_VR_LITTLE_ENDIAN).is_err());
        let deep = b"\x08\x00\x06\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff".repeat(1000);
        let refused = identity(&deep, uids::IMPLICIT_VR_LITTLE_ENDIAN).unwrap_err().to_string();
        assert!(refused.contains("deep"), "{refused}");
    }
}
