//! The list of a task's images: which file, which class, which group, which split, and what else is known. No pixel is read here.
//!
//! Refused: fewer than two classes, an empty class or split, a test class that training never sees, a group in both splits.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Attribute, npz, splits, tree};
use crate::Error;

/// More classes than this are a column of free text, not labels.
const MAX_CLASSES: usize = 1000;

/// Which side of the split an image is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Split {
    Train,
    Test,
}

impl Split {
    /// The word of splits.csv.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Test => "test",
        }
    }
}

/// One image of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Relative to the data set's root; in a file, the part and the number.
    pub path: PathBuf,
    /// Index into [`Dataset::classes`].
    pub label: usize,
    /// The patient, case or slide it comes from.
    pub group: String,
    pub split: Split,
}

/// A task's images and classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// The folder or file, as it was given.
    pub root: PathBuf,
    /// Sorted by their bytes.
    pub classes: Vec<String>,
    pub items: Vec<Item>,
    /// What else is known of each item.
    pub attributes: Vec<Attribute>,
}

/// An item as its source names it, before classes have indices.
pub(super) struct Entry {
    pub path: PathBuf,
    pub class: String,
    pub group: String,
    pub split: Split,
    /// Where it stands, for messages: `DIR/splits.csv, row 7` or the file itself.
    pub place: String,
}

impl Dataset {
    /// Opens `root/splits.csv` (columns path, label, group, split in any order, others become [`Dataset::attributes`]) if there is one; else
    /// `root/labels.csv`, where a group may be left to the PatientID of DICOM files, and the split to a hash of the groups' names (30 % are test);
    /// else `root/train/CLASS/*` and `root/test/CLASS/*`; else `root/CLASS/*` with 30 % of the files, chosen by a hash of their
    /// paths, as test split. Where `root` is a file, it is one of MedMNIST's (.npz). Without a list every image is its own group.
    /// Of DICOM files the headers are read. Errors name the file or the row.
    pub fn open(root: &Path) -> Result<Dataset, Error> {
        let (entries, attributes) = match splits::file_of(root) {
            Some(file) => splits::read(root, &file)?,
            None if root.is_file() => (npz::read(root)?, Vec::new()),
            None => (tree::read(root)?, Vec::new()),
        };
        let dataset = Dataset::build(root, entries, attributes)?;
        for (class, name) in dataset.classes.iter().enumerate() {
            if !dataset.items.iter().any(|i| i.label == class && i.split == Split::Test) {
                log::warn!("{}: class {name} has no test image; its results say nothing", root.display());
            }
        }
        Ok(dataset)
    }

    /// Indices of the items of `split`, in order.
    pub fn indices(&self, split: Split) -> Vec<usize> {
        (0..self.items.len()).filter(|&i| self.items[i].split == split).collect()
    }

    /// Images of each class in `split`.
    pub fn class_counts(&self, split: Split) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        for item in self.items.iter().filter(|i| i.split == split) {
            counts[item.label] += 1;
        }
        counts
    }

    /// Number of different groups in `split`.
    pub fn group_count(&self, split: Split) -> usize {
        let groups = self.items.iter().filter(|i| i.split == split).map(|i| i.group.as_str());
        groups.collect::<std::collections::BTreeSet<_>>().len()
    }

    fn build(root: &Path, entries: Vec<Entry>, attributes: Vec<Attribute>) -> Result<Dataset, Error> {
        for split in [Split::Train, Split::Test] {
            if !entries.iter().any(|e| e.split == split) {
                return Err(Error::EmptySplit { path: root.to_owned(), split: split.name() });
            }
        }
        let mut classes = BTreeMap::new();
        for entry in entries.iter().filter(|e| e.split == Split::Train) {
            classes.insert(entry.class.clone(), 0);
        }
        if classes.len() > MAX_CLASSES {
            let what = format!("{} classes are more than the {MAX_CLASSES} that a head may have", classes.len());
            return Err(Error::TooLarge { path: root.to_owned(), what });
        }
        for (index, slot) in classes.values_mut().enumerate() {
            *slot = index;
        }
        let mut groups: BTreeMap<&str, &Entry> = BTreeMap::new();
        for entry in &entries {
            let first = groups.entry(entry.group.as_str()).or_insert(entry);
            if first.split != entry.split {
                let (train, test) = if first.split == Split::Train { (*first, entry) } else { (entry, *first) };
                return Err(Error::GroupStraddles {
                    group: entry.group.clone(),
                    train: train.place.clone(),
                    test: test.place.clone(),
                });
            }
            if !classes.contains_key(&entry.class) {
                return Err(Error::UnknownTestClass { place: entry.place.clone(), class: entry.class.clone() });
            }
        }
        if classes.len() < 2 {
            let what = "there is one class only; a classifier needs at least two".to_owned();
            return Err(Error::DataFolder { path: root.to_owned(), what });
        }
        let items = entries
            .into_iter()
            .map(|e| Item { label: classes[&e.class], path: e.path, group: e.group, split: e.split })
            .collect();
        Ok(Dataset { root: root.to_owned(), classes: classes.into_keys().collect(), items, attributes })
    }
}
