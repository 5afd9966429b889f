//! Reads `splits.csv` or `labels.csv`: one image a row, with the columns path, label, group and
//! split (train, val or test, or another common name of these). labels.csv may leave group and
//! split away: then a group is the PatientID of DICOM files, and whole groups are divided. Further
//! columns are attributes. Between fields stands a comma, a semicolon, a tab or a bar.
//!
//! Refused, naming the row, all of them at once: a missing field, another split word, a path that
//! is absolute, holds `..`, links out of the folder, is not there or was named before, and text
//! that is not UTF-8 or holds control characters.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use super::attributes::Attributes;
use super::columns::{Columns, FIELDS, Positions};
use super::dataset::{Entry, Listing};
use super::part::Part;
use super::{dicom, divide};
use crate::{Error, input};

/// The largest list that is read, in bytes.
const MAX_FILE: u64 = 1 << 28;
/// The longest label or group, in bytes.
const MAX_NAME: usize = 200;
/// Rows that cannot be used and are named; after them nothing more is read.
const MAX_FAULTS: usize = 10_000;

/// The list that a folder has, if it has one: splits.csv, else labels.csv.
pub(super) fn file_of(root: &Path) -> Option<PathBuf> {
    let files = ["splits.csv", "labels.csv"].map(|name| root.join(name));
    files.into_iter().find(|file| file.symlink_metadata().is_ok())
}

/// The rows of `file`, with every path checked to be a file inside `root`, and what else is known
/// of them.
pub(super) fn read(root: &Path, file: &Path, columns: &Columns) -> Result<Listing, Error> {
    let bytes = input::read(file, MAX_FILE)?;
    let in_header = |what: String| Error::SplitsRow { file: file.to_owned(), row: 1, what };
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(in_header("the list is in UTF-16; save it as CSV in UTF-8".into()));
    }
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let needed = if file.ends_with("labels.csv") { 2 } else { 4 };
    let (delimiter, header, positions) = columns.of_header(text, needed).map_err(in_header)?;
    let mut attributes = Attributes::default();
    for (column, name) in header
        .iter()
        .enumerate()
        .filter(|(at, name)| !name.is_empty() && !positions.contains(&Some(*at)))
    {
        attributes.begin(name, column);
    }
    let mut listing = Listing::default();
    let mut folder = Folder::open(root)?;
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).delimiter(delimiter).from_reader(text);
    for record in reader.byte_records() {
        if listing.faults.len() == MAX_FAULTS {
            break;
        }
        let entry = record.map_err(|e| csv_error(file, e)).and_then(|record| {
            let row = record.position().map_or(0, csv::Position::line);
            let entry = entry(&record, row, positions, file, &mut folder)?;
            attributes.push(row, |column| record.get(column).unwrap_or_default());
            Ok(entry)
        });
        match entry {
            Ok(entry) => listing.entries.push(entry),
            Err(fault) => listing.faults.push(fault),
        }
    }
    let [_, _, grouped, divided] = positions.map(|position| position.is_some());
    let patients = dicom::complete(root, grouped, &mut listing, &mut attributes)?;
    if !divided && listing.faults.is_empty() && !listing.entries.is_empty() {
        divide::by_group(file, &mut listing.entries)?;
    }
    listing.notes.extend(dicom::straddling(&listing.entries, &patients));
    listing.attributes = attributes.finish();
    Ok(listing)
}

/// One row.
fn entry(
    record: &csv::ByteRecord,
    row: u64,
    positions: Positions,
    file: &Path,
    folder: &mut Folder,
) -> Result<Entry, Error> {
    let refuse = |what: String| Error::SplitsRow { file: file.to_owned(), row, what };
    let mut fields = [""; 4];
    for ((field, position), name) in fields.iter_mut().zip(positions).zip(FIELDS) {
        let Some(position) = position else { continue };
        let bytes = record.get(position).unwrap_or_default();
        *field = std::str::from_utf8(bytes).map_err(|_| refuse(format!("{name} is not UTF-8")))?;
        check_text(name, field).map_err(refuse)?;
    }
    let [path, label, group, split] = fields;
    let part = match (split, Part::of(split)) {
        (_, Some(part)) => part,
        // No column: divided later.
        ("", None) => Part::Train,
        (other, None) => {
            return Err(refuse(format!("split is {other:?}; it must be train, val or test")));
        }
    };
    let place = format!("{}, row {row}", file.display());
    let path = folder.check(Path::new(path), &place)?;
    let (class, group, split, validation) =
        (label.to_owned(), group.to_owned(), part.split(), part == Part::Validation);
    Ok(Entry { path, class, group, split, validation, place })
}

/// Why `text` cannot be a label, a group or a path.
pub(super) fn check_text(name: &str, text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err(format!("{name} is empty"));
    }
    if name != "path" && text.len() > MAX_NAME {
        return Err(format!("{name} is {} bytes long; the limit is {MAX_NAME}", text.len()));
    }
    if text.chars().any(char::is_control) {
        Err(format!("{name} {text:?} holds a control character"))
    } else {
        Ok(())
    }
}

/// The folder that images must lie in, and those already named.
pub(super) struct Folder {
    root: PathBuf,
    canonical: PathBuf,
    named: HashMap<PathBuf, String>,
}

impl Folder {
    pub fn open(root: &Path) -> Result<Folder, Error> {
        let canonical = root.canonicalize().map_err(|e| Error::io(root, e))?;
        Ok(Folder { root: root.to_owned(), canonical, named: HashMap::new() })
    }

    /// `path`, relative and without `.`, if it is a plain file inside the folder, named here for
    /// the first time.
    pub fn check(&mut self, path: &Path, place: &str) -> Result<PathBuf, Error> {
        let leaves = || Error::PathLeavesFolder { place: place.to_owned(), path: path.to_owned() };
        let mut plain = PathBuf::new();
        for component in path.components() {
            match component {
                Component::Normal(part) => plain.push(part),
                Component::CurDir => {}
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                    return Err(leaves());
                }
            }
        }
        let missing = || Error::ImageMissing { place: place.to_owned(), path: path.to_owned() };
        let full = self.root.join(&plain).canonicalize().map_err(|_| missing())?;
        if !full.starts_with(&self.canonical) {
            return Err(leaves());
        }
        if !full.is_file() {
            return Err(missing());
        }
        match self.named.insert(full, place.to_owned()) {
            Some(first) => {
                Err(Error::DuplicatePath { path: path.to_owned(), first, second: place.to_owned() })
            }
            None => Ok(plain),
        }
    }
}

fn csv_error(file: &Path, error: csv::Error) -> Error {
    let row = error.position().map_or(1, csv::Position::line);
    let what = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} fields where the header has {expected_len}")
        }
        _ => error.to_string(),
    };
    Error::SplitsRow { file: file.to_owned(), row, what }
}
