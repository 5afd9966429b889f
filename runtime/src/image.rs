//! Pixels: 8-bit RGB images, borrowed and owned, and the decoding of PNG, JPEG and TIFF files.
//!
//! Refused: files of another kind, damaged or cut off, with sides that their bytes cannot fill,
//! over [`MAX_PIXELS`], of more than 8 bits a channel (which part of the range matters is not for a
//! decoder to guess), in CMYK, and what [`jpeg::dct`] refuses. Transparency is dropped and EXIF
//! orientation and colour profiles are not applied, as Pillow's `Image.open(...).convert("RGB")`
//! does it.

use crate::{Error, guard, jpeg};

mod png;
mod tiff;

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

/// Decodes a PNG, JPEG or TIFF file; `file` is what errors call it.
///
/// # Errors
/// [`Error::Image`] for everything that the module's head says is refused.
pub fn decode(bytes: &[u8], file: &str) -> Result<RgbImage8, Error> {
    guarded(file, || Picture::open(bytes, file)?.decode())
}

/// Width and height of a PNG, JPEG or TIFF file, of which no pixel is decoded.
///
/// # Errors
/// [`Error::Image`] where the file's header says already that [`decode`] would refuse it.
pub fn size(bytes: &[u8], file: &str) -> Result<(u32, u32), Error> {
    guarded(file, || Ok(Picture::open(bytes, file)?.size()))
}

fn guarded<T>(file: &str, decode: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    guard::decoding(decode)
        .unwrap_or_else(|guard::Panicked| Err(refusal(file, guard::FAILED.into())))
}

/// A file whose header says that it can be read.
enum Picture<'a> {
    Png(png::Picture<'a>),
    Tiff(tiff::Page<'a>),
    Jpeg(jpeg::Head<'a>, &'a str),
}

impl<'a> Picture<'a> {
    fn open(bytes: &'a [u8], file: &'a str) -> Result<Self, Error> {
        #[cfg(test)]
        assert!(bytes != tests::panics::PANICS, "as if a decoder had a fault");
        if png::is_png(bytes) {
            png::Picture::open(bytes, file).map(Picture::Png)
        } else if tiff::is_tiff(bytes) {
            tiff::Page::open(bytes, file).map(Picture::Tiff)
        } else if bytes.starts_with(JPEG) {
            sound_jpeg(bytes)
                .map(|head| Picture::Jpeg(head, file))
                .map_err(|what| refusal(file, what))
        } else {
            Err(refusal(file, OTHER_KIND.into()))
        }
    }

    fn size(&self) -> (u32, u32) {
        match self {
            Picture::Png(picture) => picture.size,
            Picture::Tiff(page) => page.size,
            Picture::Jpeg(head, _) => (head.columns.into(), head.rows.into()),
        }
    }

    fn decode(self) -> Result<RgbImage8, Error> {
        match self {
            Picture::Png(picture) => picture.decode(),
            Picture::Tiff(page) => page.decode(),
            Picture::Jpeg(head, file) => shown(&head).map_err(|what| refusal(file, what)),
        }
    }
}

fn refusal(file: &str, what: String) -> Error {
    Error::Image { file: file.to_owned(), what }
}

/// What a JPEG begins with.
const JPEG: &[u8] = b"\xff\xd8\xff";
const OTHER_KIND: &str = "this is neither a PNG nor a JPEG nor a TIFF image";

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

/// What a JPEG says of itself, if it is of a kind that is shown; or why not.
fn sound_jpeg(bytes: &[u8]) -> Result<jpeg::Head<'_>, String> {
    let head = jpeg::head(bytes).map_err(jpeg_fault)?;
    if !head.ended {
        return Err(
            "the JPEG image is cut off or damaged (its end is missing); fetch it again".into()
        );
    }
    match head.components.len() {
        1 | 3 => Ok(head),
        4 => Err("CMYK colours are not read; convert the image to RGB".into()),
        other => {
            Err(format!("a JPEG image of {other} colours is not read; convert the image to RGB"))
        }
    }
}

/// A JPEG as libjpeg shows it, or why not.
fn shown(head: &jpeg::Head) -> Result<RgbImage8, String> {
    let mut samples = jpeg::dct::decode(head).map_err(jpeg_fault)?.samples;
    if head.components.len() == 1 {
        samples = samples.iter().flat_map(|&sample| [sample; 3]).collect();
    } else if !head.is_rgb_to_libjpeg() {
        jpeg::dct::ybr_to_rgb(&mut samples);
    }
    RgbImage8::new(samples, head.columns.into(), head.rows.into())
        .map_err(|error| error.to_string())
}

fn jpeg_fault(fault: jpeg::Fault) -> String {
    match fault {
        jpeg::Fault::Damaged(what) => {
            format!("the JPEG image is cut off or damaged ({what}); fetch it again")
        }
        jpeg::Fault::Unsupported(what) => {
            format!("the JPEG image does not decode ({what}); save it as PNG")
        }
    }
}

#[cfg(test)]
mod tests;
