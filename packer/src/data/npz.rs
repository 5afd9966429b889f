//! MedMNIST's files (Yang et al. 2023, "MedMNIST v2"): one `.npz` with the arrays `train_images`,
//! `train_labels`, `test_images` and `test_labels`. `val_images` and `val_labels` may be there too:
//! they are the validation part.
//!
//! Images are 8 bits, [N, H, W] or [N, H, W, 3]; labels are whole numbers. Nothing in such a file
//! says which images come from one patient: every image is its own group, and a warning says so.
//!
//! Refused: arrays that are missing, of another type, shape or length; volumes; several labels an
//! image.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use medforge_runtime::image::RgbImage8;

use super::entry::{Entry, Listing};
use super::part::SplitPart;
use crate::{Error, interrupt};

mod archive;

use archive::Archive;

/// The parts of a file, by the names of their arrays.
const PARTS: [(&str, SplitPart); 3] =
    [("train", SplitPart::Train), ("val", SplitPart::Validation), ("test", SplitPart::Test)];
/// Images that are handed on together.
const CHUNK: usize = 256;

/// Every image of `file`. Its class is the label's number, with leading zeros.
///
/// # Errors
/// [`Error::DataFolder`] for what is refused.
pub(super) fn read(file: &Path) -> Result<Listing, Error> {
    let mut archive = Archive::open(file)?;
    let mut labelled = Vec::new();
    for (part, kind) in PARTS {
        if part == "val" && !archive.has("val_images") {
            continue;
        }
        let shape = archive.shape(part)?;
        let labels = archive.labels(part)?;
        if labels.len() as u64 != shape.images {
            let what = format!(
                "{part}_images has {} images and {part}_labels {} labels",
                shape.images,
                labels.len()
            );
            return Err(archive.refuse(what));
        }
        labelled.push((part, kind, labels));
    }
    let largest = labelled.iter().flat_map(|(_, _, labels)| labels).max().copied().unwrap_or(0);
    let width = largest.to_string().len();
    let note = format!(
        "{}: the file says nothing of patients, so every image counts as its own; if patients have \
         several images, results will look better than they are",
        file.display()
    );
    let entries = labelled.into_iter().flat_map(|(part, kind, labels)| {
        labels.into_iter().enumerate().map(move |(row, label)| Entry {
            path: PathBuf::from(format!("{part}/{row}")),
            class: format!("{label:0width$}"),
            group: format!("{part}/{row}"),
            split: kind.split(),
            validation: kind == SplitPart::Validation,
            place: format!("{}, {part}_images, image {row}", file.display()),
        })
    });
    Ok(Listing { entries: entries.collect(), notes: vec![note], ..Listing::default() })
}

/// Hands on the images at `paths` (as [`read`] names them), some at a time, each with its place in
/// `paths`.
///
/// # Errors
/// [`Error::DataFolder`] for a file that is cut short, [`Error::Interrupted`], and what `each`
/// says.
pub(super) fn images(
    file: &Path,
    paths: &[&Path],
    mut each: impl FnMut(Vec<(usize, RgbImage8)>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut archive = Archive::open(file)?;
    for (part, _) in PARTS {
        let mut wanted: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
        for (place, path) in paths.iter().enumerate() {
            let row = path.strip_prefix(part).ok().and_then(|row| row.to_str()?.parse().ok());
            if let Some(row) = row {
                wanted.entry(row).or_default().push(place);
            }
        }
        if !wanted.is_empty() {
            images_of(&mut archive, part, &wanted, &mut each)?;
        }
    }
    Ok(())
}

/// Hands on the rows `wanted` of one part.
fn images_of(
    archive: &mut Archive,
    part: &str,
    wanted: &BTreeMap<u64, Vec<usize>>,
    each: &mut impl FnMut(Vec<(usize, RgbImage8)>) -> Result<(), Error>,
) -> Result<(), Error> {
    let shape = archive.shape(part)?;
    let name = format!("{part}_images");
    let mut chunk = Vec::new();
    archive.array(&name, |_, reader| {
        let mut bytes = vec![0; (shape.height * shape.width) as usize * shape.channels];
        for row in 0..shape.images {
            reader
                .read_exact(&mut bytes)
                .map_err(|_| format!("{name} ends after {row} of {} images", shape.images))?;
            let Some(places) = wanted.get(&row) else { continue };
            let rgb = match shape.channels {
                1 => bytes.iter().flat_map(|v| [*v; 3]).collect(),
                _ => bytes.clone(),
            };
            let image = RgbImage8::new(rgb, shape.width as u32, shape.height as u32)
                .map_err(|e| e.to_string())?;
            chunk.extend(places.iter().map(|place| (*place, image.clone())));
            if chunk.len() >= CHUNK {
                let full = std::mem::take(&mut chunk);
                if let Err(error) = interrupt::check().and_then(|()| each(full)) {
                    return Ok(Err(error));
                }
            }
        }
        Ok(each(std::mem::take(&mut chunk)))
    })?
}

#[cfg(test)]
mod tests;
