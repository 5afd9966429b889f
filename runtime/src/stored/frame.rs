//! One frame of stored values, and the image that a viewer shows of it.

use std::ops::RangeInclusive;

use sha2::{Digest, Sha256};

use super::kinds::{Bits, Function, Modality, Photometric, Voi, refuse};
use super::shades::Shades;
use crate::Error;
use crate::image::{self, RgbImage8};

/// One frame of stored values, and how they are meant.
#[derive(Debug, Clone)]
pub struct Stored<'a> {
    /// The values, row after row.
    pub data: &'a [u8],
    /// Height in pixels.
    pub rows: u32,
    /// Width in pixels.
    pub columns: u32,
    /// Bytes from one row to the next of the same plane; none where rows follow one another.
    pub stride: Option<usize>,
    /// Values of one sample.
    pub bits: Bits,
    /// What they mean.
    pub photometric: Photometric<'a>,
    /// All of one colour, then all of the next (Planar Configuration 1).
    pub planar: bool,
    /// From stored values to what was measured; of gray alone.
    pub modality: Modality<'a>,
    /// Which of it is shown; of gray alone.
    pub voi: Voi<'a>,
    /// Stored values that are no part of the picture (Pixel Padding Value); of gray alone.
    pub padding: Option<RangeInclusive<i64>>,
}

/// Where the values of a frame are.
struct Frame {
    /// Of a pixel.
    samples: usize,
    /// Of a sample.
    bytes: usize,
    /// Bytes of a row of one plane.
    row: usize,
    /// Rows of all planes.
    lines: usize,
    /// Bytes from one of them to the next.
    stride: usize,
}

impl Stored<'_> {
    /// The image that a viewer shows.
    ///
    /// # Errors
    /// [`Error::Pixels`] for everything that the module's head says is refused.
    pub fn rgb(&self) -> Result<RgbImage8, Error> {
        let Frame { samples, bytes, stride, .. } = self.frame()?;
        let (width, height) = (self.columns as usize, self.rows as usize);
        let count = width * height;
        // Where sample `sample` of pixel (x, y) begins.
        let place = |x: usize, y: usize, sample: usize| {
            if self.planar {
                (sample * height + y) * stride + x * bytes
            } else {
                y * stride + (x * samples + sample) * bytes
            }
        };
        let value = |x, y, sample| self.bits.value(&self.data[place(x, y, sample)..][..bytes]);
        let mut rgb = Vec::new();
        let short = |_| Error::Memory { what: format!("an image of {width} x {height}") };
        rgb.try_reserve_exact(count * 3).map_err(short)?;
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        match &self.photometric {
            Photometric::Monochrome1 | Photometric::Monochrome2 => {
                let shade = self.shades();
                pixels.for_each(|(x, y)| rgb.extend([shade.of(value(x, y, 0)); 3]));
            }
            Photometric::Palette(tables) => {
                pixels.for_each(|(x, y)| {
                    rgb.extend(
                        tables.each_ref().map(|table| to_8(table.of(value(x, y, 0)), table.bits)),
                    )
                });
            }
            colour => {
                for (x, y) in pixels {
                    let [r, g, b] =
                        [0, 1, 2].map(|sample| to_8(value(x, y, sample) as f64, self.bits.stored));
                    match colour {
                        Photometric::YbrFull => rgb.extend(from_ybr(r, g, b)),
                        _ => rgb.extend([r, g, b]),
                    }
                }
            }
        }
        RgbImage8::new(rgb, self.columns, self.rows)
    }

    /// Frame `frame`, counted from 0, of several that follow one another; `self` is about the
    /// first.
    ///
    /// # Errors
    /// As [`rgb`](Self::rgb).
    pub fn at(self, frame: u32) -> Result<Self, Error> {
        let Frame { lines, stride, .. } = self.frame()?;
        let start =
            (frame as usize).checked_mul(lines * stride).filter(|&start| start <= self.data.len());
        let Some(start) = start else {
            return refuse(format!("there is no frame {frame} in {} bytes", self.data.len()));
        };
        let moved = Stored { data: &self.data[start..], ..self };
        moved.frame()?;
        Ok(moved)
    }

    /// SHA-256, in hex, of the stored values without what lies between rows: the same wherever the
    /// frame is kept.
    ///
    /// # Errors
    /// As [`rgb`](Self::rgb).
    pub fn sha256_hex(&self) -> Result<String, Error> {
        let Frame { stride, row, lines, .. } = self.frame()?;
        let mut hasher = Sha256::new();
        (0..lines).for_each(|line| hasher.update(&self.data[line * stride..][..row]));
        Ok(hex::encode(hasher.finalize()))
    }

    /// Where the values are, if all that is said fits together.
    fn frame(&self) -> Result<Frame, Error> {
        let samples = self.check()?;
        let bytes = usize::from(self.bits.allocated / 8);
        let row = self.columns as usize * bytes * if self.planar { 1 } else { samples };
        let lines = self.rows as usize * if self.planar { samples } else { 1 };
        let stride = self.stride.unwrap_or(row);
        let last = (lines - 1).checked_mul(stride).and_then(|start| start.checked_add(row));
        match last.filter(|&last| stride >= row && last <= self.data.len()) {
            Some(_) => Ok(Frame { samples, bytes, row, lines, stride }),
            None => refuse(format!(
                "{} bytes do not hold {lines} rows of {row} bytes that begin {stride} bytes apart",
                self.data.len()
            )),
        }
    }

    /// Samples of a pixel, if all that is said fits together.
    fn check(&self) -> Result<usize, Error> {
        image::check_sides(self.columns, self.rows)?;
        let Bits { allocated, stored, high, signed, .. } = self.bits;
        if !matches!(allocated, 8 | 16 | 32)
            || stored == 0
            || high >= allocated
            || high + 1 < stored
        {
            return refuse(format!(
                "{stored} bits stored up to bit {high} do not fit {allocated} bits allocated"
            ));
        }
        let samples = match &self.photometric {
            Photometric::Monochrome1 | Photometric::Monochrome2 | Photometric::Palette(_) => 1,
            Photometric::Rgb | Photometric::YbrFull if !signed && matches!(stored, 8 | 16) => 3,
            _ => {
                return refuse(format!(
                    "colour of {stored} bits{} is not read",
                    if signed { ", signed" } else { "" }
                ));
            }
        };
        if let Photometric::Palette(tables) = &self.photometric {
            tables.iter().try_for_each(|table| table.check("a palette"))?;
        }
        match &self.modality {
            Modality::Table(table) => table.check("the modality table")?,
            Modality::Linear { slope, intercept }
                if slope.is_finite() && intercept.is_finite() && *slope != 0.0 => {}
            Modality::Linear { slope, intercept } => {
                return refuse(format!(
                    "a slope of {slope} with an intercept of {intercept} measures nothing"
                ));
            }
        }
        match &self.voi {
            Voi::Range => {}
            Voi::Table(table) => table.check("the table of the values of interest")?,
            Voi::Window { center, width, function } => {
                let least = if *function == Function::Linear { 1.0 } else { f64::MIN_POSITIVE };
                if !(center.is_finite() && width.is_finite() && *width >= least) {
                    return refuse(format!("a window of width {width} at {center} shows nothing"));
                }
            }
        }
        Ok(samples)
    }

    fn shades(&self) -> Shades<'_> {
        let Stored { bits, modality, voi, padding, .. } = self;
        let turned = matches!(self.photometric, Photometric::Monochrome1);
        Shades::new(*bits, modality, voi, padding.as_ref(), turned)
    }
}

/// A value of `bits` bits, in eight.
fn to_8(value: f64, bits: u16) -> u8 {
    match bits {
        8 => value as u8,
        _ => (value / f64::from(u16::MAX >> (16 - bits)) * 255.0).round() as u8,
    }
}

fn from_ybr(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    let (y, cb, cr) = (f64::from(y), f64::from(cb) - 128.0, f64::from(cr) - 128.0);
    [y + 1.402 * cr, y - 0.344_136 * cb - 0.714_136 * cr, y + 1.772 * cb]
        .map(|value| value.round().clamp(0.0, 255.0) as u8)
}
