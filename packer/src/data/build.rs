//! Makes a data set of what a source says.
//!
//! Refused: fewer than two classes, names of classes that no bundle takes, an empty class or split,
//! a test class that training never sees, a group in two parts of the split.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use medforge_runtime::Error as RuntimeError;
use medforge_runtime::bundle::description::check_classes;

use super::attributes::Attribute;
use super::dataset::{Dataset, Item};
use super::entry::Entry;
use super::part::Split;
use crate::Error;

/// More classes than this are a column of free text, not labels.
const MAX_CLASSES: usize = 1000;

/// The data set of `entries`; what is wrong with single ones goes to `faults`.
///
/// # Errors
/// What is wrong with all of them together.
pub(super) fn dataset(
    root: &Path,
    entries: Vec<Entry>,
    attributes: Vec<Attribute>,
    faults: &mut Vec<Error>,
) -> Result<Dataset, Error> {
    let mut classes = trained_classes(root, &entries)?;
    let strays = check_entries(&entries, &classes, faults);
    if classes.len() < 2 {
        let what = "there is one class only; a classifier needs at least two".to_owned();
        return Err(Error::DataFolder { path: root.to_owned(), what });
    }
    // A name that no bundle takes is refused before anything is trained on it.
    let names: Vec<String> = classes.keys().cloned().collect();
    if let Err(RuntimeError::Refused(refusal)) = check_classes("the data set", &names) {
        return Err(Error::DataFolder { path: root.to_owned(), what: refusal.what });
    }
    // Classes of the test split alone are among the faults already; they still get an index.
    classes.extend(strays.into_iter().map(|class| (class, 0)));
    classes.values_mut().enumerate().for_each(|(index, slot)| *slot = index);
    let item = |e: Entry| {
        let label = classes[&e.class];
        Item { label, path: e.path, group: e.group, split: e.split, validation: e.validation }
    };
    let items = entries.into_iter().map(item).collect();
    Ok(Dataset { root: root.to_owned(), classes: classes.into_keys().collect(), items, attributes })
}

/// The classes that training sees, all with index 0 for now. Refuses an empty side of the split and
/// too many classes.
fn trained_classes(root: &Path, entries: &[Entry]) -> Result<BTreeMap<String, usize>, Error> {
    for split in [Split::Train, Split::Test] {
        if !entries.iter().any(|e| e.split == split) {
            return Err(Error::EmptySplit { path: root.to_owned(), split: split.name() });
        }
    }
    let trained = entries.iter().filter(|e| e.split == Split::Train);
    let classes: BTreeMap<String, usize> = trained.map(|e| (e.class.clone(), 0)).collect();
    if classes.len() > MAX_CLASSES {
        let what = format!(
            "{} classes are more than the {MAX_CLASSES} that a head may have",
            classes.len()
        );
        return Err(Error::TooLarge { path: root.to_owned(), what });
    }
    Ok(classes)
}

/// Adds to `faults` each group that is in two parts and each class that training never sees; gives
/// these classes.
fn check_entries(
    entries: &[Entry],
    classes: &BTreeMap<String, usize>,
    faults: &mut Vec<Error>,
) -> BTreeSet<String> {
    let mut strays = BTreeSet::new();
    let mut groups: BTreeMap<&str, &Entry> = BTreeMap::new();
    let mut straddling = BTreeSet::new();
    for entry in entries {
        let first = *groups.entry(entry.group.as_str()).or_insert(entry);
        if first.part() != entry.part() && straddling.insert(entry.group.as_str()) {
            let said = |entry: &Entry| format!("{} ({})", entry.part().name(), entry.place);
            let (first, second) = (said(first), said(entry));
            faults.push(Error::GroupStraddles { group: entry.group.clone(), first, second });
        }
        if !classes.contains_key(&entry.class) && strays.insert(entry.class.clone()) {
            faults.push(Error::UnknownTestClass {
                place: entry.place.clone(),
                class: entry.class.clone(),
            });
        }
    }
    strays
}
