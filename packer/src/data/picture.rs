//! Image files of every kind: PNG, JPEG, TIFF or DICOM.
//!
//! Refused: what the runtime's decoders refuse, and DICOM files of several frames, since a label is
//! for one image.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use medforge_runtime::dicom::{self, Header, is_part_10};
use medforge_runtime::image::{self, RgbImage8};

use crate::{Error, input};

/// The endings of files that are read as images.
pub(super) const ENDINGS: [&str; 11] =
    ["png", "jpg", "jpeg", "jpe", "jfif", "tif", "tiff", "dcm", "dicom", "dic", "ima"];
/// Those of them that no DICOM file has.
const PLAIN: [&str; 7] = ["png", "jpg", "jpeg", "jpe", "jfif", "tif", "tiff"];

/// A decoded image file.
pub struct Picture {
    pub image: RgbImage8,
    /// Where a DICOM file broke the standard and was read all the same.
    pub notes: Vec<String>,
}

/// Decodes the image file at `path`. A name of PNG, JPEG or TIFF is believed; another file is DICOM
/// if it begins as DICOM Part 10 does.
///
/// # Errors
/// [`Error::Io`]; [`Error::TooLarge`]; [`Error::Runtime`] for files that do not decode or hold
/// several frames.
pub fn decode(path: &Path) -> Result<Picture, Error> {
    let bytes = input::read(path, input::MAX_IMAGE)?;
    let name = path.display().to_string();
    if is_named(path, &PLAIN) || !is_part_10(&bytes) {
        return Ok(Picture { image: image::decode(&bytes, &name)?, notes: Vec::new() });
    }
    let file = dicom::read(&bytes, &name)?;
    check_frames(&name, file.frames())?;
    let frame = file.frame(0)?;
    let image = frame.rgb().map_err(|error| match error {
        medforge_runtime::Error::Pixels { what } => {
            medforge_runtime::Error::Image { file: name, what }
        }
        other => other,
    })?;
    Ok(Picture { image, notes: frame.notes().to_vec() })
}

/// One line for each different note of many images: the first image that has it, and how many
/// more.
pub(super) fn note_lines<'a>(noted: impl Iterator<Item = (&'a Path, &'a [String])>) -> Vec<String> {
    let mut all: BTreeMap<&str, (usize, &Path)> = BTreeMap::new();
    for (path, notes) in noted {
        for note in notes {
            all.entry(note).or_insert((0, path)).0 += 1;
        }
    }
    let line = |(note, (count, first)): (&str, (usize, &Path))| match count {
        1 => format!("{}: {note}", first.display()),
        _ => format!("{} and {} more: {note}", first.display(), count - 1),
    };
    all.into_iter().map(line).collect()
}

/// Width and height of the image file at `path`, none for a DICOM file. No pixel is decoded.
///
/// # Errors
/// As [`decode`], where the file's header is reason enough.
pub(super) fn size(path: &Path) -> Result<Option<(u32, u32)>, Error> {
    let bytes = input::read(path, input::MAX_IMAGE)?;
    let name = path.display().to_string();
    if is_named(path, &PLAIN) || !is_part_10(&bytes) {
        return Ok(Some(image::size(&bytes, &name)?));
    }
    check_frames(&name, dicom::read(&bytes, &name)?.frames())?;
    Ok(None)
}

/// Whether the file at `path` begins as DICOM Part 10 does.
pub(super) fn begins_as_dicom(path: &Path) -> bool {
    let mut start = Vec::new();
    let read = |file: File| file.take(132).read_to_end(&mut start).is_ok();
    input::open(path).is_ok_and(read) && is_part_10(&start)
}

/// The header of a DICOM file; none for another file.
pub(super) fn header(path: &Path) -> Result<Option<Header>, Error> {
    if is_named(path, &PLAIN) {
        return Ok(None);
    }
    let mut file = input::open(path)?;
    let mut start = Vec::new();
    file.by_ref().take(8192).read_to_end(&mut start).map_err(|e| Error::io(path, e))?;
    if !is_part_10(&start) && !is_named(path, &["dcm", "dicom"]) {
        return Ok(None);
    }
    let name = path.display().to_string();
    let header = dicom::header(Cursor::new(start).chain(std::io::BufReader::new(file)), &name)?;
    check_frames(&name, header.frames)?;
    Ok(Some(header))
}

/// Whether the name of `path` ends with one of `endings`, in any letter case.
pub(super) fn is_named(path: &Path, endings: &[&str]) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| {
        endings.iter().any(|ending| extension.eq_ignore_ascii_case(ending))
    })
}

fn check_frames(file: &str, frames: u32) -> Result<(), Error> {
    if frames == 1 {
        return Ok(());
    }
    let what = format!(
        "it holds {frames} frames, and one image a file is read; write each frame to a file of its \
         own"
    );
    Err(medforge_runtime::Error::DicomUnsupported { file: file.to_owned(), what }.into())
}
