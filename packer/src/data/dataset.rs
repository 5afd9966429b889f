//! The list of a task's images: which file, which class, which group, which split, and what else is
//! known. No pixel is read here.
//!
//! Refused: fewer than two classes, names of classes that no bundle takes, an empty class or split,
//! a test class that training never sees, a group in both splits.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use medforge_runtime::Error as RuntimeError;
use medforge_runtime::bundle::description::check_classes;
use medforge_runtime::words::sentence;

use super::part::Part;
use super::{Attribute, Columns, npz, splits, tree};
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
    /// Of training images: whether the data set itself puts it into a validation part.
    pub validation: bool,
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
    pub validation: bool,
    /// Where it stands, for messages: `DIR/splits.csv, row 7` or the file itself.
    pub place: String,
}

/// What a source holds.
#[derive(Default)]
pub(super) struct Listing {
    pub entries: Vec<Entry>,
    pub attributes: Vec<Attribute>,
    /// Rows and files that cannot be used.
    pub faults: Vec<Error>,
    /// What is worth a look.
    pub notes: Vec<String>,
}

impl Entry {
    fn part(&self) -> Part {
        Part::new(self.split, self.validation)
    }
}

impl Item {
    /// The part of the split that it is in.
    pub(super) fn part(&self) -> Part {
        Part::new(self.split, self.validation)
    }
}

impl Dataset {
    /// Opens `root/splits.csv` (columns path, label, group, split in any order, others become
    /// [`Dataset::attributes`]) if there is one; else `root/labels.csv`, where a group may be left
    /// to the PatientID of DICOM files, and the split to a hash of the groups' names (30 % are
    /// test); else `root/train/CLASS/*` and `root/test/CLASS/*`; else `root/CLASS/*` with 30 % of
    /// the groups, chosen by a hash of their names, as test split. Where `root` is a file, it is
    /// one of MedMNIST's (.npz). Without a list a group is a PatientID, and every image without one
    /// is its own. Of DICOM files the headers are read. Errors name the file or the row, several at
    /// once if there are.
    pub fn open(root: &Path) -> Result<Dataset, Error> {
        Dataset::open_with(root, &Columns::default())
    }

    /// The same, with the list's columns under other names.
    pub fn open_with(root: &Path, columns: &Columns) -> Result<Dataset, Error> {
        let looked = Dataset::look(root, columns)?;
        looked.notes.iter().for_each(|note| log::warn!("{}", sentence(note)));
        Error::all(looked.faults)?;
        looked
            .dataset
            .ok_or_else(|| Error::EmptySplit { path: root.to_owned(), split: Split::Train.name() })
    }

    /// What is there and all that is wrong with it; there is a data set where enough of it can be
    /// used.
    pub(super) fn look(root: &Path, columns: &Columns) -> Result<Looked, Error> {
        let list = splits::file_of(root);
        if list.is_none() && *columns != Columns::default() {
            let what = format!(
                "names columns of a list, and {} has no splits.csv or labels.csv",
                root.display()
            );
            return Err(Error::Option { name: "the choice of columns", what });
        }
        let listing = match list {
            Some(file) => splits::read(root, &file, columns)?,
            None if root.is_file() => npz::read(root)?,
            None => tree::read(root)?,
        };
        let Listing { entries, attributes, mut faults, mut notes } = listing;
        let broken = !faults.is_empty();
        let files = entries.iter().map(|entry| entry.path.clone()).collect();
        let built = Dataset::build(root, entries, attributes, &mut faults);
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
        Ok(Looked { dataset, files, faults, notes })
    }

    /// Indices of the items of `split`, in order.
    pub fn indices(&self, split: Split) -> Vec<usize> {
        (0..self.items.len()).filter(|&i| self.items[i].split == split).collect()
    }

    /// The training items without and within the validation part that the data set itself states,
    /// which may be empty.
    ///
    /// # Errors
    /// [`Error::HoldOut`] where there is such a part and a class is not on both sides.
    pub fn stated_parts(&self) -> Result<(Vec<usize>, Vec<usize>), Error> {
        let (validation, training): (Vec<usize>, Vec<usize>) =
            self.indices(Split::Train).into_iter().partition(|&i| self.items[i].validation);
        for (class, name) in self.classes.iter().enumerate() {
            let lacks = |part: &[usize]| !part.iter().any(|&i| self.items[i].label == class);
            if !validation.is_empty() && (lacks(&training) || lacks(&validation)) {
                let part = if lacks(&training) { "training" } else { "validation" };
                let what = format!(
                    "class {name} has no image in the {part} part that the data state; add some, \
                     or have a part taken from all training images"
                );
                return Err(Error::HoldOut { what });
            }
        }
        Ok((training, validation))
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

    /// The data set of `entries`; what is wrong with single ones goes to `faults`.
    fn build(
        root: &Path,
        entries: Vec<Entry>,
        attributes: Vec<Attribute>,
        faults: &mut Vec<Error>,
    ) -> Result<Dataset, Error> {
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
            let what = format!(
                "{} classes are more than the {MAX_CLASSES} that a head may have",
                classes.len()
            );
            return Err(Error::TooLarge { path: root.to_owned(), what });
        }
        let mut strays = BTreeSet::new();
        let mut groups: BTreeMap<&str, &Entry> = BTreeMap::new();
        let mut straddling = BTreeSet::new();
        for entry in &entries {
            let first = *groups.entry(entry.group.as_str()).or_insert(entry);
            if first.part() != entry.part() && straddling.insert(entry.group.as_str()) {
                let said = |entry: &Entry| format!("{} ({})", entry.part().name(), entry.place);
                let (first, second) = (said(first), said(entry));
                faults.push(Error::GroupStraddles { group: entry.group.clone(), first, second });
            }
            if !classes.contains_key(&entry.class) && strays.insert(entry.class.as_str()) {
                faults.push(Error::UnknownTestClass {
                    place: entry.place.clone(),
                    class: entry.class.clone(),
                });
            }
        }
        if classes.len() < 2 {
            let what = "there is one class only; a classifier needs at least two".to_owned();
            return Err(Error::DataFolder { path: root.to_owned(), what });
        }
        // What no bundle takes is said before anything is trained on it.
        let names: Vec<String> = classes.keys().cloned().collect();
        if let Err(RuntimeError::Refused(refusal)) = check_classes("the data set", &names) {
            return Err(Error::DataFolder { path: root.to_owned(), what: refusal.what });
        }
        // Classes that only the test split knows are a fault already, and counted.
        classes.extend(strays.into_iter().map(|class| (class.to_owned(), 0)));
        classes.values_mut().enumerate().for_each(|(index, slot)| *slot = index);
        let item = |e: Entry| {
            let label = classes[&e.class];
            Item { label, path: e.path, group: e.group, split: e.split, validation: e.validation }
        };
        let items = entries.into_iter().map(item).collect();
        Ok(Dataset {
            root: root.to_owned(),
            classes: classes.into_keys().collect(),
            items,
            attributes,
        })
    }
}

/// What [`Dataset::look`] finds.
pub(super) struct Looked {
    pub dataset: Option<Dataset>,
    /// What is listed and could be used as far as the list goes, relative to the root; in a data
    /// set, one an item.
    pub files: Vec<PathBuf>,
    pub faults: Vec<Error>,
    pub notes: Vec<String>,
}
