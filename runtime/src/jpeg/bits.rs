//! The bits of a scan. Stuffed bytes are left out, and restart markers stand where they must. It is
//! an error if the data ends early, or does not end where it should.

use super::{Fault, damaged};

/// The most bytes besides zeros and ones that may be left at the end of a scan.
const MOST_LEFT: usize = 16;

/// A reader of the compressed data of one scan.
pub(super) struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    /// The next bits, from the top.
    held: u64,
    count: u32,
    /// How many restart markers went by.
    restarts: u8,
}

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Bits { data, at: 0, held: 0, count: 0, restarts: 0 }
    }

    /// The next 16 bits, zeros after the last.
    #[inline]
    pub(super) fn peek16(&mut self) -> u32 {
        if self.count < 16 {
            self.fill();
        }
        (self.held >> 48) as u32
    }

    /// Passes over up to 16 bits that were peeked at.
    #[inline]
    pub(super) fn take(&mut self, count: u32) -> Result<(), Fault> {
        if count > self.count {
            return Err(cut_off());
        }
        self.held <<= count;
        self.count -= count;
        Ok(())
    }

    /// The next `count` bits, up to 16.
    #[inline]
    pub(super) fn next(&mut self, count: u32) -> Result<u32, Fault> {
        let next = self.peek16();
        self.take(count)?;
        Ok(next >> (16 - count))
    }

    /// A difference or coefficient of `size` bits, up to 15 (T.81, table F.1): those that begin
    /// with 0 are negative.
    #[inline]
    pub(super) fn signed(&mut self, size: u32) -> Result<i32, Fault> {
        if size == 0 {
            return Ok(0);
        }
        let value = self.next(size)? as i32;
        Ok(if value < 1 << (size - 1) { value + 1 - (1 << size) } else { value })
    }

    /// Passes over the next restart marker, which must be there after less than a byte.
    pub(super) fn restart(&mut self) -> Result<(), Fault> {
        if self.count >= 8 {
            return Err(damaged("its data goes on where it should start again"));
        }
        (self.held, self.count) = (0, 0);
        let rest = &self.data[self.at..];
        let filled = rest.iter().take_while(|&&byte| byte == 0xff).count();
        match rest.get(filled) {
            Some(&marker) if filled > 0 && marker == 0xd0 + self.restarts => {
                self.at += filled + 1;
                self.restarts = (self.restarts + 1) % 8;
                Ok(())
            }
            None => Err(cut_off()),
            Some(_) => Err(damaged("a restart marker is missing")),
        }
    }

    /// Ends the scan, and says whether bytes are left after its last sample. Cameras and scanners
    /// leave zeros there, the next restart marker or a few bytes more. More than that belongs to
    /// samples that were lost before it. `line`, the least bits of a line of units, tells how much
    /// is too much. The bits that fill up the last byte say nothing.
    pub(super) fn end(&self, line: usize) -> Result<bool, Fault> {
        let held = (self.held << (self.count % 8)).to_be_bytes();
        let held = &held[..(self.count / 8) as usize];
        let rest = &self.data[self.at..];
        let fill = |byte: &&u8| matches!(**byte, 0 | 0xff);
        let end = rest.len() - rest.iter().rev().take_while(fill).count();
        let before = rest[..end].strip_suffix(&[0xff, 0xd0 + self.restarts]).unwrap_or(rest);
        let other = held.iter().chain(before).filter(|byte| !fill(byte)).count();
        let is_marker = |pair: &[u8]| matches!(pair, [0xff, 0xd0..=0xd7]);
        if other > MOST_LEFT.min(line / 8) || before.windows(2).any(is_marker) {
            let left = held.len() + rest.len();
            return Err(damaged(format!("{left} bytes are left after the last sample of a scan")));
        }
        Ok(!held.is_empty() || rest.iter().any(|&byte| byte != 0xff))
    }

    /// Why the next bits are no code.
    #[cold]
    pub(super) fn no_code(&self) -> Fault {
        if self.count < 16 {
            cut_off()
        } else {
            damaged("its data holds a code that its tables have not")
        }
    }

    fn fill(&mut self) {
        if self.count <= 32
            && let Some(next) = self.data.get(self.at..self.at + 4)
            && !next.contains(&0xff)
        {
            let next = u32::from_be_bytes([next[0], next[1], next[2], next[3]]);
            self.held |= u64::from(next) << (32 - self.count);
            self.count += 32;
            self.at += 4;
            return;
        }
        while self.count <= 56 {
            let Some(&byte) = self.data.get(self.at) else { return };
            let mut length = 1;
            if byte == 0xff {
                // Filled up or not, a zero makes it a byte of the data, and anything else a marker.
                let rest = &self.data[self.at..];
                length = rest.iter().take_while(|&&byte| byte == 0xff).count();
                match rest.get(length) {
                    Some(0) => length += 1,
                    _ => return,
                }
            }
            self.at += length;
            self.held |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }
}

#[cold]
fn cut_off() -> Fault {
    damaged("its data ends early")
}
