//! How stored values lie in their bytes, what they mean, and which of them are shown.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use crate::Error;

/// How one sample lies in its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bits {
    /// 8, 16 or 32.
    pub allocated: u16,
    /// How many of them count.
    pub stored: u16,
    /// Where the highest of those is, counted from 0.
    pub high: u16,
    /// Two's complement.
    pub signed: bool,
    /// The first byte is the highest.
    pub big_endian: bool,
}

/// What samples mean.
#[derive(Debug, Clone)]
pub enum Photometric<'a> {
    /// Gray, the lowest value white.
    Monochrome1,
    /// Gray, the lowest value black.
    Monochrome2,
    /// Red, green, blue.
    Rgb,
    /// Luminance and two chroma values of each pixel.
    YbrFull,
    /// A number into three tables.
    Palette([Table<'a>; 3]),
}

/// A lookup table: the first entry is for `first` and all below, the last one for all above.
#[derive(Debug, Clone)]
pub struct Table<'a> {
    /// The value that the first entry is for.
    pub first: i64,
    /// Bits of an entry, 8 to 16.
    pub bits: u16,
    /// The entries.
    pub entries: Cow<'a, [u16]>,
}

/// From stored values to what was measured.
#[derive(Debug, Clone)]
pub enum Modality<'a> {
    /// `value * slope + intercept`; 1 and 0 where nothing is said.
    Linear {
        /// Rescale Slope, not 0.
        slope: f64,
        /// Rescale Intercept.
        intercept: f64,
    },
    /// A table.
    Table(Table<'a>),
}

/// Which values are shown, from black to white.
#[derive(Debug, Clone)]
pub enum Voi<'a> {
    /// All that the stored bits can have.
    Range,
    /// A window.
    Window {
        /// Window Center, of measured values.
        center: f64,
        /// Window Width, above 0.
        width: f64,
        /// The form.
        function: Function,
    },
    /// A table.
    Table(Table<'a>),
}

/// The form of a window (VOI LUT Function, PS3.3 C.11.2.1.2 and C.11.2.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Function {
    /// Linear, from `center - 0.5 - (width - 1) / 2` to `center - 0.5 + (width - 1) / 2`.
    #[default]
    Linear,
    /// Linear, from `center - width / 2` to `center + width / 2`.
    LinearExact,
    /// `1 / (1 + exp(-4 (x - center) / width))`
    Sigmoid,
}

impl Bits {
    /// All values that the stored bits can have.
    pub(super) fn range(&self) -> RangeInclusive<i64> {
        if self.signed {
            -(1 << (self.stored - 1))..=(1 << (self.stored - 1)) - 1
        } else {
            0..=(1 << self.stored) - 1
        }
    }

    /// The value of a sample in its bytes.
    pub(super) fn value(&self, bytes: &[u8]) -> i64 {
        let join = |all: u32, byte: &u8| all << 8 | u32::from(*byte);
        let all = if self.big_endian {
            bytes.iter().fold(0, join)
        } else {
            bytes.iter().rev().fold(0, join)
        };
        let cut = i64::from(all >> (self.high + 1 - self.stored)) & ((1 << self.stored) - 1);
        let negative = self.signed && cut >> (self.stored - 1) == 1;
        if negative { cut - (1 << self.stored) } else { cut }
    }
}

impl Table<'_> {
    pub(super) fn check(&self, what: &str) -> Result<(), Error> {
        if self.entries.is_empty() || !(8..=16).contains(&self.bits) {
            return refuse(format!(
                "{what} has {} entries of {} bits",
                self.entries.len(),
                self.bits
            ));
        }
        Ok(())
    }

    /// The entry for `value`.
    pub(super) fn of(&self, value: i64) -> f64 {
        let place = value.saturating_sub(self.first).clamp(0, self.entries.len() as i64 - 1);
        f64::from(self.entries[place as usize])
    }

    /// The largest value that an entry can have.
    pub(super) fn most(&self) -> u16 {
        u16::MAX >> (16 - self.bits)
    }
}

pub(super) fn refuse<T>(what: String) -> Result<T, Error> {
    Err(Error::Pixels { what })
}
