//! Pixels: 8-bit RGB images, borrowed and owned, and the decoding of PNG, JPEG and TIFF files.
//!
//! Transparency is dropped, and EXIF orientation and colour profiles are not applied, as in
//! Pillow's `Image.open(...).convert("RGB")`.
//!
//! Refused:
//!
//! - files of another kind, damaged or cut off,
//! - sides that the file's bytes cannot fill, and more than [`MAX_PIXELS`],
//! - more than 8 bits a channel: a decoder cannot know which part of the range matters,
//! - CMYK, and what [`jpeg::dct`] refuses.

use crate::{Error, guard, jpeg};

mod png;
mod rgb;
mod tiff;

pub(crate) use rgb::check_sides;
pub use rgb::{MAX_PIXELS, RgbImage8, RgbView};

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
