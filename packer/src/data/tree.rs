//! Reads a tree of images without a list: `DIR/CLASS/FILE`, or `DIR/train/CLASS/FILE` and
//! `DIR/test/CLASS/FILE`. The parts may have any of their common names (`Training`, `TEST`, `val`).
//!
//! DICOM files are grouped by PatientID. Nothing says which other images come from one patient:
//! each is its own group, and a warning says so.
//!
//! Refused: what [`layout`] refuses, a class folder without images, a class with one image only,
//! links out of the folder, names that are not UTF-8.

use std::path::Path;

use super::attributes::Attributes;
use super::entry::{Entry, Listing};
use super::folder::ImageFolder;
use super::part::SplitPart;
use super::{dicom, divide};
use crate::Error;

mod checks;
mod classes;
mod layout;
mod top;
mod walk;

use layout::Layout;
use walk::text_of;

/// Every image below `root`, with its class and part.
///
/// # Errors
/// Those of the whole tree; what is wrong with single files is among the listing's faults.
pub(super) fn read(root: &Path) -> Result<Listing, Error> {
    if !root.is_dir() {
        let what = "no such folder".to_owned();
        return Err(Error::DataFolder { path: root.to_owned(), what });
    }
    let mut folder = ImageFolder::open(root)?;
    let mut listing = Listing::default();
    let layout = Layout::of(root)?;
    add_images(root, &layout, &mut folder, &mut listing)?;
    let mut attributes = Attributes::default();
    let patients = dicom::complete(root, false, &mut listing, &mut attributes)?;
    if patients.iter().any(Option::is_none) {
        listing.notes.push(format!(
            "{}: there is no splits.csv, so every image counts as its own patient; if patients \
             have several images, results will look better than they are",
            root.display()
        ));
    }
    if matches!(layout, Layout::Classes(_)) && listing.faults.is_empty() {
        not_alone(&listing.entries)?;
        divide::by_group(root, &mut listing.entries)?;
    }
    listing.attributes = attributes.finish();
    Ok(listing)
}

/// Adds every image of the `layout`.
fn add_images(
    root: &Path,
    layout: &Layout,
    folder: &mut ImageFolder,
    listing: &mut Listing,
) -> Result<(), Error> {
    let mut add = |place: &Path, part: SplitPart| -> Result<(), Error> {
        for (class, files) in classes::of(place, &mut listing.notes)? {
            for file in files {
                match entry(root, folder, &file, &class, part) {
                    Ok(entry) => listing.entries.push(entry),
                    Err(fault) => listing.faults.push(fault),
                }
            }
        }
        Ok(())
    };
    match layout {
        Layout::Classes(place) => add(place, SplitPart::Train),
        Layout::Parts(places) => {
            // Where nothing is called test, the validation folder is tested on: training never saw
            // it.
            let (test, validation) = (SplitPart::Test, SplitPart::Validation);
            let tested = if places.contains_key(&test) { test } else { validation };
            for (&part, place) in places {
                add(place, if part == tested { test } else { part })?;
            }
            if tested == validation {
                listing.notes.push(format!(
                    "{}: there is no test folder, so the validation folder is the test split",
                    root.display()
                ));
            }
            Ok(())
        }
    }
}

fn entry(
    root: &Path,
    folder: &mut ImageFolder,
    file: &Path,
    class: &str,
    part: SplitPart,
) -> Result<Entry, Error> {
    let place = file.display().to_string();
    let relative = file.strip_prefix(root).unwrap_or(file);
    let group = text_of(file, relative)?;
    let path = folder.check(relative, &place)?;
    let validation = part == SplitPart::Validation;
    Ok(Entry { path, class: class.to_owned(), group, split: part.split(), validation, place })
}

/// Refuses a class of one image: it could not be on both sides.
fn not_alone(entries: &[Entry]) -> Result<(), Error> {
    for (index, entry) in entries.iter().enumerate() {
        let neighbours = [index.checked_sub(1), Some(index + 1)];
        let same = |other: &Entry| other.class == entry.class;
        if !neighbours.iter().flatten().filter_map(|&i| entries.get(i)).any(same) {
            let what = "this is the only image of its class; a class needs at least one to train \
                        and one to test";
            return Err(Error::DataFolder {
                path: entry.place.clone().into(),
                what: what.to_owned(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
