//! Decodes every picture of a data set, and finds those that are there twice.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use medforge_runtime::image::RgbImage8;
use medforge_runtime::preprocess::Preprocessing;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::super::dataset::{Dataset, Item};
use super::super::progress::Progress;
use super::super::{npz, picture};
use crate::{Error, interrupt};

/// The most pairs of one kind that are named.
const NAMED: usize = 20;

/// What is kept of a picture that decodes.
pub(super) struct DecodedPicture {
    /// Of its size and pixels.
    digest: [u8; 32],
    /// The fraction of its area that the crop leaves away.
    pub cut: f64,
    /// Where its file broke a standard.
    pub notes: Vec<String>,
}

/// Decodes every file, or image of a MedMNIST file.
///
/// # Errors
/// [`Error::Interrupted`]; a file that does not decode has its error in its place.
pub(super) fn decode_all(
    root: &Path,
    files: &[PathBuf],
    preprocessing: &Preprocessing,
) -> Result<Vec<Result<DecodedPicture, Error>>, Error> {
    let progress = Progress::new("images", files.len());
    let decoded = |image: &RgbImage8| {
        progress.step();
        let mut hash = Sha256::new();
        hash.update(image.width().to_le_bytes());
        hash.update(image.data());
        let cut = preprocessing.share_cut(image.width(), image.height());
        DecodedPicture { digest: hash.finalize().into(), cut, notes: Vec::new() }
    };
    if !root.is_file() {
        let one = |file: &PathBuf| {
            interrupt::check()?;
            let picture = picture::decode(&root.join(file));
            Ok(picture.map(|one| DecodedPicture { notes: one.notes, ..decoded(&one.image) }))
        };
        return files.par_iter().map(one).collect();
    }
    let paths: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let mut all: Vec<(usize, Result<DecodedPicture, Error>)> = Vec::with_capacity(files.len());
    let whole = npz::images(root, &paths, |chunk| {
        all.extend(chunk.iter().map(|(place, image)| (*place, Ok(decoded(image)))));
        Ok(())
    });
    match whole {
        Err(error @ Error::Interrupted { .. }) => return Err(error),
        Err(fault) => all.push((usize::MAX, Err(fault))),
        Ok(()) => all.sort_by_key(|(place, _)| *place),
    }
    Ok(all.into_iter().map(|(_, one)| one).collect())
}

/// Warnings about pictures that are there several times: in two parts, in two classes, or in one
/// class of one part. `pictures` are those of the items, in order.
pub(super) fn twins(data: &Dataset, pictures: &[Result<DecodedPicture, Error>]) -> Vec<String> {
    let mut first: HashMap<[u8; 32], &Item> = HashMap::new();
    let (mut parts, mut classes, mut within) = (Vec::new(), Vec::new(), 0);
    for (item, picture) in data.items.iter().zip(pictures) {
        let Ok(picture) = picture else { continue };
        let other = *first.entry(picture.digest).or_insert(item);
        let name = |item: &Item| item.path.display().to_string();
        if other.part() != item.part() {
            parts.push(format!(
                "{} ({}) and {} ({}) are the same picture: results will look better than they are",
                name(other),
                other.part().name(),
                name(item),
                item.part().name()
            ));
        } else if other.label != item.label {
            let [one, two] =
                [other, item].map(|item| format!("{} ({})", name(item), data.classes[item.label]));
            classes.push(format!("{one} and {two} are the same picture, of two classes"));
        } else if other.path != item.path {
            within += 1;
        }
    }
    let mut warnings = Vec::new();
    for all in [parts, classes] {
        let more = all.len().saturating_sub(NAMED);
        warnings.extend(all.into_iter().take(NAMED));
        if more > 0 {
            warnings.push(format!("{more} more pairs are of this kind"));
        }
    }
    if within > 0 {
        warnings.push(format!("{within} pictures are copies of others in the same part and class"));
    }
    warnings
}
