//! Frames of a DICOM file, one by one: what the file says of their pixels is checked, then they are
//! decoded.

use std::ops::RangeInclusive;

use dicom_core::Tag;

use super::attributes::Notes;
use super::dataset::PIXELS;
use super::file::Dicom;
use super::format::{Coding, Format, Refusal};
use super::part10::{BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, RLE};
use super::{pixels, shown};
use crate::image::{MAX_PIXELS, RgbImage8};
use crate::stored::{Bits, Modality, Photometric, Stored, Voi};
use crate::{Error, guard};

/// One frame, decoded.
pub struct Frame {
    data: Vec<u8>,
    rows: u32,
    columns: u32,
    bits: Bits,
    photometric: Photometric<'static>,
    planar: bool,
    modality: Modality<'static>,
    voi: Voi<'static>,
    padding: Option<RangeInclusive<i64>>,
    notes: Vec<String>,
}

impl Dicom<'_> {
    /// Frame `number`, counted from 0.
    ///
    /// # Errors
    /// [`Error::DicomUnsupported`] for what the module's head says is refused by name,
    /// [`Error::Image`] for what is damaged, missing, or there and cannot be read.
    pub fn frame(&self, number: u32) -> Result<Frame, Error> {
        guard::decoding(|| self.decoded(number))
            .unwrap_or_else(|guard::Panicked| Err(self.damaged(guard::FAILED.into())))
    }

    fn decoded(&self, number: u32) -> Result<Frame, Error> {
        let mut notes = self.notes.clone();
        if number >= self.frames {
            return Err(self.damaged(format!("it has no frame {number}; it has {}", self.frames)));
        }
        let (format, stated) = self.format(&mut notes)?;
        let Format { rows, columns, bits, .. } = format;
        let Some(element) = self.set.get(PIXELS) else {
            return Err(self.damaged("it has no pixels".into()));
        };
        let values = pixels::decode(&self.data, element, number, &format, &mut notes);
        let values = values.map_err(|refusal| match refusal {
            Refusal::Damaged(what) => self.damaged(what),
            Refusal::Unsupported(what) => self.unsupported(what),
        })?;
        let photometric = if values.ybr_after_all { Photometric::YbrFull } else { stated };
        let gray = matches!(photometric, Photometric::Monochrome1 | Photometric::Monochrome2);
        let mut frame = Frame {
            data: values.data,
            rows,
            columns,
            bits: Bits { big_endian: false, ..bits },
            photometric,
            planar: values.planar,
            modality: Modality::Linear { slope: 1.0, intercept: 0.0 },
            voi: Voi::Range,
            padding: None,
            notes: Vec::new(),
        };
        if gray {
            let shown = shown::gray(&self.attributes(), number, self.frames, bits, &mut notes);
            let shown = shown.map_err(|what| self.damaged(what))?;
            (frame.modality, frame.voi, frame.padding) = (shown.modality, shown.voi, shown.padding);
        }
        frame.notes = notes.into_iter().collect();
        Ok(frame)
    }

    /// What the file says of its frames: their format, and what their samples mean.
    fn format(&self, notes: &mut Notes) -> Result<(Format<'_>, Photometric<'static>), Error> {
        let (rows, columns) =
            (self.needed(Tag(0x0028, 0x0010))?, self.needed(Tag(0x0028, 0x0011))?);
        if rows == 0 || columns == 0 || u64::from(rows) * u64::from(columns) > MAX_PIXELS {
            let what = format!("{columns} x {rows} is not between 1 and {MAX_PIXELS} pixels");
            return Err(self.unsupported(what));
        }
        let samples = self.needed(Tag(0x0028, 0x0002))?;
        let bits = self.bits(notes)?;
        let (said, stated) = self.photometric()?;
        let colours = matches!(stated, Photometric::Rgb | Photometric::YbrFull);
        if samples != if colours { 3 } else { 1 } {
            let what =
                format!("it has {samples} samples a pixel under Photometric Interpretation {said}");
            return Err(self.damaged(what));
        }
        let planar = colours && self.planar(notes)?;
        let coding = match self.syntax.as_str() {
            IMPLICIT | EXPLICIT | DEFLATED | BIG_ENDIAN => Coding::Native,
            RLE => Coding::Rle,
            _ => Coding::Jpeg,
        };
        let (frames, photometric) = (self.frames, said);
        let format = Format { rows, columns, samples, bits, photometric, planar, frames, coding };
        Ok((format, stated))
    }

    /// The Photometric Interpretation, in the file's word and in ours.
    fn photometric(&self) -> Result<(&str, Photometric<'static>), Error> {
        let file = self.attributes();
        let said = file.text(Tag(0x0028, 0x0004)).map_err(|what| self.damaged(what))?;
        let Some(said) = said else {
            return Err(self.damaged("it does not say its Photometric Interpretation".into()));
        };
        let stated = match said {
            "MONOCHROME1" => Photometric::Monochrome1,
            "MONOCHROME2" => Photometric::Monochrome2,
            "PALETTE COLOR" => shown::palette(&file).map_err(|what| self.damaged(what))?,
            "RGB" => Photometric::Rgb,
            "YBR_FULL" | "YBR_FULL_422" => Photometric::YbrFull,
            _ => {
                let what = format!("Photometric Interpretation {said} is not read");
                return Err(self.unsupported(what));
            }
        };
        Ok((said, stated))
    }

    fn bits(&self, notes: &mut Notes) -> Result<Bits, Error> {
        let allocated = self.needed(Tag(0x0028, 0x0100))?;
        if !matches!(allocated, 8 | 16 | 32) {
            return Err(self.unsupported(format!("{allocated} bits allocated are not read")));
        }
        let big_endian = self.syntax == BIG_ENDIAN;
        if big_endian && allocated == 32 {
            let what = "32 bits allocated in the big-endian transfer syntax are not read";
            return Err(self.unsupported(what.into()));
        }
        let stored = self.needed(Tag(0x0028, 0x0101))?;
        let high = self.attributes().integer(Tag(0x0028, 0x0102), notes);
        let high = match high.map_err(|what| self.damaged(what))? {
            Some(high) => u32::try_from(high).unwrap_or(u32::MAX),
            None => {
                notes.insert("it does not say its High Bit, and the lowest bits are read".into());
                stored.saturating_sub(1)
            }
        };
        if stored == 0 || high >= allocated || high + 1 < stored {
            let what = format!(
                "{stored} bits stored up to bit {high} do not fit {allocated} bits allocated"
            );
            return Err(self.damaged(what));
        }
        let signed = match self.needed(Tag(0x0028, 0x0103))? {
            0 => false,
            1 => true,
            other => {
                return Err(
                    self.damaged(format!("its Pixel Representation is {other}, not 0 or 1"))
                );
            }
        };
        Ok(Bits {
            allocated: allocated as u16,
            stored: stored as u16,
            high: high as u16,
            signed,
            big_endian,
        })
    }

    fn planar(&self, notes: &mut Notes) -> Result<bool, Error> {
        let stated = self.attributes().integer(Tag(0x0028, 0x0006), notes);
        match stated.map_err(|what| self.damaged(what))? {
            Some(0) => Ok(false),
            Some(1) => Ok(true),
            Some(other) => {
                Err(self.damaged(format!("its Planar Configuration is {other}, not 0 or 1")))
            }
            None => {
                notes.insert(
                    "it does not say its Planar Configuration, and is read pixel by pixel".into(),
                );
                Ok(false)
            }
        }
    }
}

impl Frame {
    /// The frame's stored values, and how they are meant.
    pub fn stored(&self) -> Stored<'_> {
        Stored {
            data: &self.data,
            rows: self.rows,
            columns: self.columns,
            stride: None,
            bits: self.bits,
            photometric: self.photometric.clone(),
            planar: self.planar,
            modality: self.modality.clone(),
            voi: self.voi.clone(),
            padding: self.padding.clone(),
        }
    }

    /// What of the file broke the standard and was read all the same, a sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The image that a viewer shows.
    ///
    /// # Errors
    /// As [`Stored::rgb`].
    pub fn rgb(&self) -> Result<RgbImage8, Error> {
        self.stored().rgb()
    }
}
