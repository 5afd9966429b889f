//! Images as callers have them: stored values with everything that DICOM says of them, image files,
//! and DICOM files.

use medforge_runtime::image::{self, RgbImage8};

use crate::growing;
use crate::last_error::Failure;
use crate::pointer::input;

mod stored;
mod structs;

use stored::{stored, wrong};
pub use structs::{Image, ImageKind, Lut, PhotometricInterpretation, ValuesOfInterest};

/// An image as a viewer shows it, and the digest of what it was made of.
pub struct Shown {
    /// 8-bit RGB.
    pub rgb: RgbImage8,
    /// SHA-256 in hex of the stored values without gaps between rows; of an image file, of the RGB
    /// pixels.
    pub sha256: String,
    /// What was odd about the file, and which of several frames this is.
    pub notes: Vec<String>,
}

/// The image at `pointer`.
///
/// # Safety
/// `pointer` is NULL or points to an image whose every pointer is NULL or reaches as far as the
/// image says.
pub unsafe fn shown(pointer: *const Image) -> Result<Shown, Failure> {
    // SAFETY: the caller's promise.
    let image = unsafe { growing::read(pointer, "image")? };
    let data = input(image.data.cast::<u8>(), "image.data")?;
    if isize::try_from(image.length).is_err() {
        return Err(wrong("image.length is more than memory can hold".into()));
    }
    // SAFETY: not NULL, and the caller promises as many bytes.
    let data = unsafe { std::slice::from_raw_parts(data, image.length) };
    match image.kind {
        kind if kind == ImageKind::Values as u32 => {
            // SAFETY: the caller's promise for each table.
            let stored = unsafe { stored(&image, data)? };
            Ok(Shown { sha256: stored.sha256_hex()?, rgb: stored.rgb()?, notes: Vec::new() })
        }
        kind if kind == ImageKind::File as u32 => {
            let rgb = image::decode(data, "image.data")?;
            Ok(Shown {
                sha256: medforge_runtime::bundle::sha256_hex(rgb.data()),
                rgb,
                notes: Vec::new(),
            })
        }
        kind if kind == ImageKind::Dicom as u32 => dicom(data, image.frame),
        kind => Err(wrong(format!("image.kind is {kind}, which is none"))),
    }
}

#[cfg(feature = "dicom")]
fn dicom(data: &[u8], frame: u32) -> Result<Shown, Failure> {
    let file = medforge_runtime::dicom::read(data, "image.data")?;
    let (number, frames, frame) = (frame, file.frames(), file.frame(frame)?);
    let mut notes = frame.notes().to_vec();
    if frames > 1 {
        notes.push(format!("this is frame {number}, counted from 0, of {frames}"));
    }
    Ok(Shown { sha256: frame.stored().sha256_hex()?, rgb: frame.rgb()?, notes })
}

#[cfg(not(feature = "dicom"))]
fn dicom(_: &[u8], _: u32) -> Result<Shown, Failure> {
    Err(Failure::new(
        crate::status::Status::DicomUnsupported,
        "this library was built without DICOM; build it with --features dicom",
    ))
}
