//! 8-bit RGB pixels, borrowed and owned.

use crate::Error;

/// The largest image that is decoded or resized, in pixels: 400 MB as RGB.
pub const MAX_PIXELS: u64 = 1 << 27;

/// Somebody else's 8-bit RGB pixels, checked to be there.
#[derive(Debug, Clone, Copy)]
pub struct RgbView<'a> {
    data: &'a [u8],
    width: u32,
    height: u32,
    stride: usize,
}

impl<'a> RgbView<'a> {
    /// Pixels of `height` rows that begin `stride` bytes apart, each of `width` times R, G, B.
    ///
    /// # Errors
    /// [`Error::Pixels`] if a side is zero, the image is over [`MAX_PIXELS`], a row does not fit
    /// the stride or `data` ends before the last row does.
    pub fn new(data: &'a [u8], width: u32, height: u32, stride: usize) -> Result<Self, Error> {
        let refuse = |what: String| Err(Error::Pixels { what });
        check_sides(width, height)?;
        let row = width as usize * 3;
        if stride < row {
            return refuse(format!(
                "a stride of {stride} bytes is less than a row of {width} RGB pixels ({row} bytes)"
            ));
        }
        match extent(row, height, stride) {
            Some(needed) if needed <= data.len() => Ok(RgbView { data, width, height, stride }),
            _ => refuse(format!(
                "{} bytes do not hold {width} x {height} RGB pixels with a stride of {stride} \
                 bytes",
                data.len()
            )),
        }
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The rows from the top, each `3 * width` bytes.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        let (data, stride, row) = (self.data, self.stride, self.width as usize * 3);
        (0..self.height as usize).map(move |y| &data[y * stride..][..row])
    }
}

/// An 8-bit RGB image: `height` rows of `width` times R, G, B, without gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RgbImage8 {
    data: Vec<u8>,
    width: u32,
    height: u32,
}

impl RgbImage8 {
    /// An image of exactly `3 * width * height` bytes.
    ///
    /// # Errors
    /// [`Error::Pixels`] if the number of bytes is another, a side is zero or the image is over
    /// [`MAX_PIXELS`].
    pub fn new(data: Vec<u8>, width: u32, height: u32) -> Result<Self, Error> {
        RgbView::new(&data, width, height, width as usize * 3)?;
        if data.len() != width as usize * height as usize * 3 {
            return Err(Error::Pixels {
                what: format!("{} bytes are too many for {width} x {height}", data.len()),
            });
        }
        Ok(RgbImage8 { data, width, height })
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// All bytes, R, G, B of the top left pixel first.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// The same pixels, borrowed.
    pub fn view(&self) -> RgbView<'_> {
        RgbView {
            data: &self.data,
            width: self.width,
            height: self.height,
            stride: self.width as usize * 3,
        }
    }
}

pub(crate) fn check_sides(width: u32, height: u32) -> Result<(), Error> {
    if width > 0 && height > 0 && u64::from(width) * u64::from(height) <= MAX_PIXELS {
        Ok(())
    } else {
        Err(Error::Pixels {
            what: format!("{width} x {height} is not between 1 and {MAX_PIXELS} pixels"),
        })
    }
}

/// From the first to the last value of `height` rows (one at least) of `row` values that begin
/// `stride` values apart.
fn extent(row: usize, height: u32, stride: usize) -> Option<usize> {
    stride.checked_mul(height as usize - 1)?.checked_add(row)
}
