//! The shade of each stored value of gray.

use std::ops::RangeInclusive;

use super::kinds::{Bits, Function, Modality, Voi};

/// The shades of an image's values of gray, 0 to 255.
pub(super) struct Shades<'a> {
    bits: Bits,
    modality: &'a Modality<'a>,
    voi: &'a Voi<'a>,
    padding: Option<&'a RangeInclusive<i64>>,
    /// The lowest value is white.
    turned: bool,
    /// The shades of all values from `first` on; none if there are too many.
    table: Vec<u8>,
    first: i64,
}

impl<'a> Shades<'a> {
    /// Makes a table of all values, unless there are too many of them.
    pub(super) fn new(
        bits: Bits,
        modality: &'a Modality<'a>,
        voi: &'a Voi<'a>,
        padding: Option<&'a RangeInclusive<i64>>,
        turned: bool,
    ) -> Self {
        let mut shades =
            Shades { bits, modality, voi, padding, turned, table: Vec::new(), first: 0 };
        let range = bits.range();
        if range.end() - range.start() < 1 << 16 {
            shades.first = *range.start();
            shades.table = range.map(|value| shades.compute(value)).collect();
        }
        shades
    }

    /// The shade of a value.
    pub(super) fn of(&self, value: i64) -> u8 {
        self.table
            .get((value - self.first) as usize)
            .copied()
            .unwrap_or_else(|| self.compute(value))
    }

    fn compute(&self, value: i64) -> u8 {
        let Shades { bits, modality, voi, padding, .. } = self;
        if padding.is_some_and(|padding| padding.contains(&value)) {
            return 0;
        }
        let measured = |value: i64| match modality {
            Modality::Linear { slope, intercept } => value as f64 * slope + intercept,
            Modality::Table(table) => table.of(value),
        };
        let x = measured(value);
        let share = match voi {
            Voi::Range => {
                let (low, high) = match modality {
                    Modality::Linear { .. } => {
                        (measured(*bits.range().start()), measured(*bits.range().end()))
                    }
                    Modality::Table(table) => (0.0, f64::from(table.most())),
                };
                (x - low.min(high)) / (high - low).abs().max(f64::MIN_POSITIVE)
            }
            Voi::Window { center, width, function: Function::Linear } => {
                // A window of width 1 is a threshold.
                let span = width - 1.0;
                let above = x - (center - 0.5);
                if span > 0.0 { above / span + 0.5 } else { f64::from(above > 0.0) }
            }
            Voi::Window { center, width, function: Function::LinearExact } => {
                (x - center) / width + 0.5
            }
            Voi::Window { center, width, function: Function::Sigmoid } => {
                1.0 / (1.0 + (-4.0 * (x - center) / width).exp())
            }
            Voi::Table(table) => table.of(x.round() as i64) / f64::from(table.most()),
        };
        let shade = (share.clamp(0.0, 1.0) * 255.0).round() as u8;
        if self.turned { 255 - shade } else { shade }
    }
}
