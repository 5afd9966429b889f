//! What the headers of DICOM files add to a list: the patient as group, and sex, age, maker and
//! institution as attributes. Pixels are not read.
//!
//! Refused: a file without a patient where the list has no groups, and two files of one SOP
//! Instance UID.

use std::collections::HashMap;
use std::path::Path;

use medforge_runtime::dicom::Header;
use rayon::prelude::*;

use super::attributes::{Attributes, MAX_VALUE, is_refused};
use super::entry::{Entry, Listing, check_text};
use super::progress::Progress;
use super::{ages, picture};
use crate::{Error, interrupt};

/// Reads the headers behind the entries of `listing`, and gives each entry's PatientID: none where
/// it is no DICOM file.
///
/// Where the list has no column for groups (`grouped` is false), patients become the groups; a file
/// that is no DICOM keeps the group that it has. An attribute of the list wins over the header's.
///
/// # Errors
/// [`Error::Interrupted`]; all else is added to the listing's faults.
pub(super) fn complete(
    root: &Path,
    grouped: bool,
    listing: &mut Listing,
    attributes: &mut Attributes,
) -> Result<Vec<Option<String>>, Error> {
    let Listing { entries, faults, .. } = listing;
    let before = faults.len();
    let headers = headers(root, entries, faults)?;
    if faults.len() > before {
        return Ok(vec![None; entries.len()]);
    }
    check_instances(entries, &headers, faults);
    if !grouped {
        group_by_patient(root, entries, &headers, faults);
    }
    if headers.iter().any(Option::is_some) {
        for name in ["PatientSex", "PatientAge", "Manufacturer", "InstitutionName"] {
            if !attributes.has(name) {
                let values: Vec<String> = headers
                    .iter()
                    .map(|header| header.as_ref().map_or(String::new(), |h| value(h, name)))
                    .collect();
                attributes.add(name, values.iter().map(String::as_str));
            }
        }
    }
    Ok(headers.into_iter().map(|header| header.map(|header| header.patient)).collect())
}

/// Finds files of one SOP Instance UID.
fn check_instances(entries: &[Entry], headers: &[Option<Header>], faults: &mut Vec<Error>) {
    let mut instances: HashMap<&str, &Entry> = HashMap::new();
    for (entry, header) in entries.iter().zip(headers) {
        let Some(uid) = header.as_ref().map(|header| header.instance.as_str()) else { continue };
        if uid.is_empty() {
            continue;
        }
        if let Some(first) = instances.insert(uid, entry) {
            let (uid, first, second) = (uid.to_owned(), first.place.clone(), entry.place.clone());
            faults.push(Error::DuplicateInstance { uid, path: entry.path.clone(), first, second });
        }
    }
}

/// Makes the PatientID of each header the group of its entry.
fn group_by_patient(
    root: &Path,
    entries: &mut [Entry],
    headers: &[Option<Header>],
    faults: &mut Vec<Error>,
) {
    for (entry, header) in entries.iter_mut().zip(headers) {
        if header.is_none() && !entry.group.is_empty() {
            continue;
        }
        let patient = header.as_ref().map_or("", |header| &header.patient);
        let usable = if patient.is_empty() {
            Err(format!(
                "no PatientID is stated, and {} has no column group to say whose image it is",
                entry.place
            ))
        } else {
            check_text("PatientID", patient)
        };
        match usable {
            Ok(()) => entry.group = patient.to_owned(),
            Err(what) => faults.push(Error::DataFolder { path: root.join(&entry.path), what }),
        }
    }
}

/// The header of each entry, none where it is no DICOM file. What cannot be read goes to `faults`.
fn headers(
    root: &Path,
    entries: &[Entry],
    faults: &mut Vec<Error>,
) -> Result<Vec<Option<Header>>, Error> {
    let progress = Progress::new("headers", entries.len());
    let header = |entry: &Entry| {
        interrupt::check()?;
        let header = picture::header(&root.join(&entry.path));
        progress.step();
        Ok(header)
    };
    let read: Vec<Result<Option<Header>, Error>> =
        entries.par_iter().map(header).collect::<Result<_, Error>>()?;
    let kept = |header: Result<Option<Header>, Error>| {
        header.unwrap_or_else(|fault| {
            faults.push(fault);
            None
        })
    };
    Ok(read.into_iter().map(kept).collect())
}

/// A warning about the first patient (as [`complete`] gives them) who is on both sides of the split
/// under different groups. The list's groups are believed, since patients may have been renamed.
pub(super) fn straddling(entries: &[Entry], patients: &[Option<String>]) -> Option<String> {
    let mut seen: HashMap<&str, &Entry> = HashMap::new();
    for (entry, patient) in entries.iter().zip(patients) {
        let Some(patient) = patient.as_deref().filter(|patient| !patient.is_empty()) else {
            continue;
        };
        let first = *seen.entry(patient).or_insert(entry);
        // A group on both sides is refused elsewhere.
        if first.split != entry.split && first.group != entry.group {
            return Some(format!(
                "PatientID {patient:?} is in both splits, under other groups ({} and {}); if it is \
                 one person, results will look better than they are",
                first.place, entry.place
            ));
        }
    }
    None
}

/// A header's value of the attribute `name`, within the limits of attributes.
fn value(header: &Header, name: &str) -> String {
    let stated = match name {
        "PatientSex" => &header.sex,
        "PatientAge" => ages::of_dicom(&header.age).unwrap_or(&header.age),
        "Manufacturer" => &header.manufacturer,
        _ => &header.institution,
    };
    let mut value = String::new();
    for c in stated.chars().filter(|&c| !is_refused(c)) {
        if value.len() + c.len_utf8() > MAX_VALUE {
            break;
        }
        value.push(c);
    }
    value
}

#[cfg(test)]
mod tests;
