//! Reads a tree of images without a list: `DIR/CLASS/FILE`, or `DIR/train/CLASS/FILE` and
//! `DIR/test/CLASS/FILE`, the parts under any of their common names (`Training`, `TEST`, `val`).
//!
//! DICOM files are grouped by PatientID. Of others nobody says which come from one patient: each is
//! its own group, and a warning says so. Refused: what [`layout`] refuses, a class folder without
//! images, a class with one image only, links out of the folder, names that are not UTF-8.

use std::fs;
use std::path::{Path, PathBuf};

use super::attributes::Attributes;
use super::dataset::{Entry, Listing};
use super::part::Part;
use super::picture;
use super::splits::{Folder, check_text};
use super::{dicom, divide};
use crate::Error;

mod layout;

use layout::Layout;

/// Folders below a class folder are followed this deep.
const MAX_DEPTH: usize = 8;
/// What archives of other programs leave behind.
const NOT_DATA: [&str; 2] = ["__MACOSX", "DICOMDIR"];

/// Every image below `root`, with its class and part.
pub(super) fn read(root: &Path) -> Result<Listing, Error> {
    if !root.is_dir() {
        let what = "no such folder".to_owned();
        return Err(Error::DataFolder { path: root.to_owned(), what });
    }
    let mut folder = Folder::open(root)?;
    let mut listing = Listing::default();
    let mut add = |place: &Path, part: Part| -> Result<(), Error> {
        for (class, files) in classes(place, &mut listing.notes)? {
            for file in files {
                match entry(root, &mut folder, &file, &class, part) {
                    Ok(entry) => listing.entries.push(entry),
                    Err(fault) => listing.faults.push(fault),
                }
            }
        }
        Ok(())
    };
    let layout = Layout::of(root)?;
    let mut remarks = Vec::new();
    match &layout {
        Layout::Classes(place) => add(place, Part::Train)?,
        Layout::Parts(places) => {
            // Where nothing is called test, what training never saw is tested on.
            let tested =
                if places.contains_key(&Part::Test) { Part::Test } else { Part::Validation };
            if tested == Part::Validation {
                remarks.push(format!(
                    "{}: there is no test folder, so the validation folder is the test split",
                    root.display()
                ));
            }
            for (&part, place) in places {
                add(place, if part == tested { Part::Test } else { part })?;
            }
        }
    }
    listing.notes.extend(remarks);
    let mut attributes = Attributes::default();
    let patients = dicom::complete(root, false, &mut listing, &mut attributes)?;
    if patients.iter().any(Option::is_none) {
        listing.notes.push(format!(
            "{}: there is no splits.csv, so every image counts as its own patient; if patients \
             have several images, results will \
             look better than they are",
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

fn entry(
    root: &Path,
    folder: &mut Folder,
    file: &Path,
    class: &str,
    part: Part,
) -> Result<Entry, Error> {
    let place = file.display().to_string();
    let relative = file.strip_prefix(root).unwrap_or(file);
    let group = text_of(file, relative)?;
    let path = folder.check(relative, &place)?;
    let validation = part == Part::Validation;
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

/// The class folders of `root`, sorted, each with its images, sorted.
fn classes(root: &Path, notes: &mut Vec<String>) -> Result<Vec<(String, Vec<PathBuf>)>, Error> {
    let (mut classes, mut beside) = (Vec::new(), 0);
    for path in sorted(root)? {
        if !path.is_dir() {
            beside += usize::from(is_image(&path));
            continue;
        }
        let class = name_of(&path)?;
        check_text("label", &class)
            .map_err(|what| Error::DataFolder { path: path.clone(), what })?;
        let (mut files, mut ignored) = (Vec::new(), 0);
        images(&path, 0, &mut files, &mut ignored)?;
        if ignored > 0 {
            notes.push(format!(
                "{}: {ignored} files that are not png, jpg, tif or DICOM are ignored",
                path.display()
            ));
        }
        if files.is_empty() {
            return Err(Error::EmptyClass { path: root.to_owned(), class });
        }
        classes.push((class, files));
    }
    if classes.is_empty() {
        let what = "there is neither a splits.csv, nor a labels.csv, nor a folder for each class"
            .to_owned();
        return Err(Error::DataFolder { path: root.to_owned(), what });
    }
    if beside > 0 {
        notes.push(format!(
            "{}: {beside} images beside the class folders are of no class and are ignored",
            root.display()
        ));
    }
    Ok(classes)
}

fn images(
    folder: &Path,
    depth: usize,
    files: &mut Vec<PathBuf>,
    ignored: &mut usize,
) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        let what = format!("folders are nested deeper than {MAX_DEPTH}");
        return Err(Error::DataFolder { path: folder.to_owned(), what });
    }
    for path in sorted(folder)? {
        if path.is_dir() {
            images(&path, depth + 1, files, ignored)?;
            continue;
        }
        if is_image(&path) { files.push(path) } else { *ignored += 1 }
    }
    Ok(())
}

/// Whether an image lies somewhere below `folder`.
fn holds_images(folder: &Path, depth: usize) -> Result<bool, Error> {
    if depth > MAX_DEPTH {
        return Ok(false);
    }
    for path in sorted(folder)? {
        if if path.is_dir() { holds_images(&path, depth + 1)? } else { is_image(&path) } {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a file is read as an image, by its name or, where that says nothing, by how DICOM files
/// begin.
fn is_image(path: &Path) -> bool {
    picture::is_named(path, &picture::ENDINGS) || picture::begins_as_dicom(path)
}

/// What is in `folder`, sorted by name, hidden files left out.
fn sorted(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(|e| Error::io(folder, e))? {
        let entry = entry.map_err(|e| Error::io(folder, e))?;
        let name = entry.file_name();
        if !name.as_encoded_bytes().starts_with(b".")
            && !NOT_DATA.iter().any(|other| name == *other)
        {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

fn name_of(path: &Path) -> Result<String, Error> {
    text_of(path, Path::new(path.file_name().unwrap_or_default()))
}

/// A relative path as text with `/` between its parts.
fn text_of(file: &Path, relative: &Path) -> Result<String, Error> {
    let parts: Option<Vec<&str>> = relative.iter().map(|p| p.to_str()).collect();
    let what = "the name is not UTF-8".to_owned();
    parts.map(|p| p.join("/")).ok_or(Error::DataFolder { path: file.to_owned(), what })
}

#[cfg(test)]
mod tests;
