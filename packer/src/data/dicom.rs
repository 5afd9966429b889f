//! What the headers of a list's DICOM files add to it: the patient as group, and sex, age, maker and institution as attributes. Pixels are not read.
//!
//! Refused: a file without a patient where the list has no groups, and two files of one SOP Instance UID.

use std::collections::HashMap;
use std::path::Path;

use medforge_runtime::dicom::Header;
use rayon::prelude::*;

use super::attributes::{Attributes, MAX_VALUE};
use super::dataset::{Entry, Split};
use super::picture;
use super::progress::Progress;
use super::splits::check_text;
use crate::{Error, interrupt};

/// Years of age up to which a band reaches, and its name.
const BANDS: [(u32, &str); 4] = [(17, "0-17"), (39, "18-39"), (64, "40-64"), (u32::MAX, "65+")];

/// Reads the headers behind `entries`. Where the list has no column for them, the groups become patients; an attribute that the list has stays.
pub(super) fn complete(
    root: &Path,
    grouped: bool,
    entries: &mut [Entry],
    attributes: &mut Attributes,
) -> Result<(), Error> {
    let headers = headers(root, entries)?;
    let mut instances: HashMap<&str, &Entry> = HashMap::new();
    for (entry, uid) in stated(entries, &headers, |header| &header.instance) {
        if let Some(first) = instances.insert(uid, entry) {
            let (uid, first, second) = (uid.to_owned(), first.place.clone(), entry.place.clone());
            return Err(Error::DuplicateInstance { uid, path: entry.path.clone(), first, second });
        }
    }
    match grouped {
        true => warn_of_straddling(entries, &headers),
        false => {
            for (entry, header) in entries.iter_mut().zip(&headers) {
                let patient = header.as_ref().map_or("", |header| &header.patient);
                let refuse = |what: String| Error::DataFolder { path: root.join(&entry.path), what };
                if patient.is_empty() {
                    let what = format!(
                        "no PatientID is stated, and {} has no column group to say whose image it is",
                        entry.place
                    );
                    return Err(refuse(what));
                }
                check_text("PatientID", patient).map_err(refuse)?;
                entry.group = patient.to_owned();
            }
        }
    }
    if headers.iter().any(Option::is_some) {
        for name in ["PatientSex", "PatientAge", "Manufacturer", "InstitutionName"] {
            if !attributes.has(name) {
                let values: Vec<String> =
                    headers.iter().map(|header| header.as_ref().map_or(String::new(), |h| value(h, name))).collect();
                attributes.add(name, values.iter().map(String::as_str));
            }
        }
    }
    Ok(())
}

fn headers(root: &Path, entries: &[Entry]) -> Result<Vec<Option<Header>>, Error> {
    let progress = Progress::new("headers", entries.len());
    let header = |entry: &Entry| {
        interrupt::check()?;
        let header = picture::header(&root.join(&entry.path))?;
        progress.step();
        Ok(header)
    };
    entries.par_iter().map(header).collect()
}

/// The entries whose header states a value, each with it.
fn stated<'a>(
    entries: &'a [Entry],
    headers: &'a [Option<Header>],
    value: impl Fn(&'a Header) -> &'a str,
) -> impl Iterator<Item = (&'a Entry, &'a str)> {
    let all = entries.iter().zip(headers).filter_map(move |(entry, header)| Some((entry, value(header.as_ref()?))));
    all.filter(|(_, value)| !value.is_empty())
}

/// The list's groups are believed, for patients may have been renamed; but a patient on both sides is worth a look.
fn warn_of_straddling(entries: &[Entry], headers: &[Option<Header>]) {
    let mut seen: HashMap<&str, (Split, &Entry)> = HashMap::new();
    for (entry, patient) in stated(entries, headers, |header| &header.patient) {
        let (split, first) = *seen.entry(patient).or_insert((entry.split, entry));
        if split != entry.split {
            log::warn!(
                "PatientID {patient:?} is in both splits, under other groups ({} and {}); if it is one person, results will look better than they are",
                first.place,
                entry.place
            );
            return;
        }
    }
}

/// A header's value of the attribute `name`, within the limits of attributes.
fn value(header: &Header, name: &str) -> String {
    let stated = match name {
        "PatientSex" => &header.sex,
        "PatientAge" => band(&header.age),
        "Manufacturer" => &header.manufacturer,
        _ => &header.institution,
    };
    let mut value = String::new();
    for c in stated.chars().filter(|c| !c.is_control()) {
        if value.len() + c.len_utf8() > MAX_VALUE {
            break;
        }
        value.push(c);
    }
    value
}

/// The band of an age such as `034Y` or `007M` (PS3.5, table 6.2-1, AS); empty where it is none.
fn band(age: &str) -> &'static str {
    let Some((number, unit)) = age.split_at_checked(3) else { return "" };
    let Ok(number) = number.parse::<u16>() else { return "" };
    let years = match unit {
        "Y" => u32::from(number),
        "M" => u32::from(number) / 12,
        "W" => u32::from(number) * 7 / 365,
        "D" => u32::from(number) / 365,
        _ => return "",
    };
    BANDS.iter().find(|(last, _)| years <= *last).map_or("", |(_, name)| name)
}

#[cfg(test)]
mod tests;
