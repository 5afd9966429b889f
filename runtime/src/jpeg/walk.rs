//! From marker to marker of a JPEG (ITU-T T.81, annex B).

use super::{Fault, damaged};

/// A place in a JPEG.
pub(super) struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Walk { bytes, at }
    }

    /// Passes over the next marker, and whatever stands before it.
    pub(super) fn marker(&mut self) -> Option<u8> {
        loop {
            self.at += self.bytes.get(self.at..)?.iter().position(|&byte| byte == 0xff)?;
            self.at += self.bytes[self.at..].iter().position(|&byte| byte != 0xff)?;
            self.at += 1;
            match self.bytes[self.at - 1] {
                0 => continue,
                marker => return Some(marker),
            }
        }
    }

    /// Passes over what belongs to a marker.
    pub(super) fn segment(&mut self) -> Result<&'a [u8], Fault> {
        let cut = || damaged("it is cut off within its head");
        let rest = self.bytes.get(self.at..).ok_or_else(cut)?;
        let length = usize::from(u16::from_be_bytes(*rest.first_chunk::<2>().ok_or_else(cut)?));
        if length < 2 {
            return Err(damaged("a segment of its head is damaged"));
        }
        let segment = rest.get(2..length).ok_or_else(cut)?;
        self.at += length;
        Ok(segment)
    }

    /// Up to the next marker that restarts nothing.
    pub(super) fn entropy_coded(&mut self) -> &'a [u8] {
        let begin = self.at;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let Some(next) = rest.iter().position(|&byte| byte == 0xff) else {
                self.at = self.bytes.len();
                return &self.bytes[begin..];
            };
            self.at += next;
            match self.bytes.get(self.at + 1) {
                Some(0xff) => self.at += 1,
                Some(0x00 | 0xd0..=0xd7) => self.at += 2,
                Some(_) => return &self.bytes[begin..self.at],
                None => {
                    self.at = self.bytes.len();
                    return &self.bytes[begin..];
                }
            }
        }
    }
}
