//! Opens a data set: a list, a tree of folders or a MedMNIST file. No pixel is read here.

use std::path::{Path, PathBuf};

use medforge_runtime::words::sentence;

use super::dataset::Dataset;
use super::entry::Listing;
use super::part::Split;
use super::{Columns, build, npz, splits, tree};
use crate::Error;

/// What is at a place, and what is wrong with it.
pub(super) struct Opened {
    /// There is one where enough of the source can be used.
    pub dataset: Option<Dataset>,
    /// The files that the source lists and that can be read, relative to the root. In a data set,
    /// one for each item.
    pub files: Vec<PathBuf>,
    pub faults: Vec<Error>,
    pub notes: Vec<String>,
}

impl Dataset {
    /// Opens the data set at `root`, which is the first of these:
    ///
    /// - a file: one of MedMNIST's (.npz);
    /// - `root/splits.csv`, with the columns path, label, group and split in any order. Other
    ///   columns become [`Dataset::attributes`];
    /// - `root/labels.csv`, which needs path and label only. Without a column group, the PatientID
    ///   of DICOM files is the group. Without a column split, a hash of the groups' names chooses
    ///   30 % of them for the test split;
    /// - `root/train/CLASS/*` and `root/test/CLASS/*`;
    /// - `root/CLASS/*`, split by groups as labels.csv is.
    ///
    /// Without a list, a DICOM file's group is its PatientID, and any other image is its own group.
    /// Of DICOM files the headers are read.
    ///
    /// # Errors
    /// They name the file or the row; where there are several, all at once.
    pub fn open(root: &Path) -> Result<Dataset, Error> {
        Dataset::open_with(root, &Columns::default())
    }

    /// The same, with the list's columns under other names.
    ///
    /// # Errors
    /// As [`Dataset::open`]; [`Error::Option`] for names of columns where there is no list.
    pub fn open_with(root: &Path, columns: &Columns) -> Result<Dataset, Error> {
        let opened = Opened::at(root, columns)?;
        opened.notes.iter().for_each(|note| log::warn!("{}", sentence(note)));
        Error::all(opened.faults)?;
        opened
            .dataset
            .ok_or_else(|| Error::EmptySplit { path: root.to_owned(), split: Split::Train.name() })
    }
}

impl Opened {
    /// What is at `root` and all that is wrong with it.
    pub fn at(root: &Path, columns: &Columns) -> Result<Opened, Error> {
        let Listing { entries, attributes, mut faults, mut notes } = listing(root, columns)?;
        let broken = !faults.is_empty();
        let files = entries.iter().map(|entry| entry.path.clone()).collect();
        let built = build::dataset(root, entries, attributes, &mut faults);
        let dataset = match built {
            Ok(dataset) => Some(dataset),
            // What is left of a broken list may well have too few classes or no test image.
            Err(_) if broken => None,
            Err(fault) => {
                faults.push(fault);
                None
            }
        };
        if let Some(data) = &dataset {
            let tested = data.classes.iter().zip(data.class_counts(Split::Test));
            let untested = tested.filter(|(_, count)| *count == 0).map(|(name, _)| name);
            notes.extend(untested.map(|name| {
                format!(
                    "{}: class {name} has no test image; its results say nothing",
                    root.display()
                )
            }));
        }
        Ok(Opened { dataset, files, faults, notes })
    }
}

/// What the source at `root` says.
fn listing(root: &Path, columns: &Columns) -> Result<Listing, Error> {
    let list = splits::file_of(root);
    if list.is_none() && *columns != Columns::default() {
        let what = format!(
            "names columns of a list, and {} has no splits.csv or labels.csv",
            root.display()
        );
        return Err(Error::Option { name: "the choice of columns", what });
    }
    match list {
        Some(file) => splits::read(root, &file, columns),
        None if root.is_file() => npz::read(root),
        None => tree::read(root),
    }
}
