//! What a Part 10 file begins with (PS3.10, 7.1): the preamble, the meta information and how the
//! data set after it is written. Where the meta information ends is where its group does, whatever
//! length it states.

use std::borrow::Cow;

use dicom_core::Tag;
use miniz_oxide::inflate::decompress_to_vec_with_limit;

use super::dataset::Form;

/// Where the meta information begins.
pub const START: usize = 132;
/// Why a file is refused that does not begin as a Part 10 file does.
pub const NO_PART_10: &str = "this is no DICOM Part 10 file (DICM does not stand at byte 128)";
pub const IMPLICIT: &str = "1.2.840.10008.1.2";
pub const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub const DEFLATED: &str = "1.2.840.10008.1.2.1.99";
pub const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";
pub const RLE: &str = "1.2.840.10008.1.2.5";

/// The meta information.
pub struct Meta {
    /// The UID of the transfer syntax.
    pub syntax: String,
    /// Where the data set begins.
    pub end: usize,
    /// What was odd and read all the same.
    pub note: Option<&'static str>,
}

/// Whether bytes begin as a Part 10 file does; 132 of them tell.
pub fn is_part_10(bytes: &[u8]) -> bool {
    bytes.get(128..START) == Some(b"DICM")
}

/// Reads the meta information of a Part 10 file.
///
/// # Errors
/// Why it cannot be read; none where the bytes end before it does.
pub fn meta(bytes: &[u8]) -> Result<Meta, Option<String>> {
    let missing =
        || Some("its meta information does not name one transfer syntax, or is damaged".to_owned());
    let (mut at, mut found, mut stated, mut note) = (START, None, None, None);
    loop {
        let Some(&[g0, g1, e0, e1, v0, v1, l0, l1]) = bytes.get(at..).and_then(<[u8]>::first_chunk)
        else {
            return Err(None);
        };
        if [g0, g1] != [2, 0] {
            break;
        }
        let tag = Tag(2, u16::from_le_bytes([e0, e1]));
        // OB, UN and UT have lengths of four bytes, all others that stand here of two.
        let (start, length) = match &[v0, v1] {
            b"OB" | b"UN" | b"UT" | b"OW" => {
                let Some(length) = bytes.get(at + 8..).and_then(<[u8]>::first_chunk) else {
                    return Err(None);
                };
                (at + 12, u32::from_le_bytes(*length) as usize)
            }
            vr if vr.iter().all(u8::is_ascii_uppercase) => {
                (at + 8, u16::from_le_bytes([l0, l1]).into())
            }
            _ => return Err(missing()),
        };
        if length > MAX_VALUE {
            return Err(missing());
        }
        let Some(value) = bytes.get(start..start + length) else { return Err(None) };
        match tag.element() {
            0x0000 if length == 4 => {
                stated = Some(
                    start
                        + 4
                        + u32::from_le_bytes([value[0], value[1], value[2], value[3]]) as usize,
                );
            }
            0x0010 if found.is_some_and(|found| found != value) => return Err(missing()),
            0x0010 => found = Some(value),
            _ => {}
        }
        at = start + length;
    }
    if stated != Some(at) {
        note = Some("its meta information has not the length that it states");
    }
    let syntax = found.and_then(|value| std::str::from_utf8(value).ok()).ok_or_else(missing)?;
    Ok(Meta { syntax: syntax.trim_end_matches(['\0', ' ']).to_owned(), end: at, note })
}

/// How the data set of a transfer syntax is written.
pub fn form(syntax: &str) -> Form {
    Form { explicit: syntax != IMPLICIT, big_endian: syntax == BIG_ENDIAN }
}

/// The data set after the meta information, which inflates to no more than `limit` bytes if it is
/// deflated.
///
/// # Errors
/// For deflated data that is damaged or has more than `limit` bytes.
pub fn inflated<'a>(
    bytes: &'a [u8],
    meta: &Meta,
    limit: usize,
) -> Result<(Cow<'a, [u8]>, usize), String> {
    if meta.syntax != DEFLATED {
        return Ok((Cow::Borrowed(bytes), meta.end));
    }
    let data = decompress_to_vec_with_limit(&bytes[meta.end..], limit)
        .map_err(|_| format!("it is damaged, or inflates to more than {limit} bytes"))?;
    Ok((Cow::Owned(data), 0))
}

/// The longest value of the meta information, in bytes.
const MAX_VALUE: usize = 1 << 16;
