//! A place in a pickle's bytes, from which numbers and texts are taken.

use std::ops::Range;

pub struct Cursor<'a> {
    pub bytes: &'a [u8],
    /// The next byte.
    pub at: usize,
}

impl Cursor<'_> {
    /// The bytes of a number.
    pub fn fixed<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let found = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<N>());
        self.at += N;
        found.copied().ok_or_else(cut_off)
    }

    /// The next `length` bytes.
    pub fn take(&mut self, length: usize) -> Result<Range<usize>, String> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.bytes.len());
        let range = self.at..end.ok_or_else(cut_off)?;
        self.at = range.end;
        Ok(range)
    }

    /// A line, without its end.
    pub fn line(&mut self) -> Result<Range<usize>, String> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|byte| *byte == b'\n').ok_or_else(cut_off)?;
        let range = self.take(length)?;
        self.at += 1;
        Ok(range)
    }
}

fn cut_off() -> String {
    "begins what is cut off; fetch the file again".into()
}
