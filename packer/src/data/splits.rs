//! Reads `splits.csv` or `labels.csv`: one image a row.
//!
//! The columns are path, label, group and split (train, val or test, or another common name of
//! these); further columns are attributes. A labels.csv may do without group and split: then a
//! group is the PatientID of DICOM files, and whole groups are divided. A comma, a semicolon, a tab
//! or a bar stands between fields.
//!
//! Refused, all rows at once by their numbers: a missing field, another split word, and text that
//! is not UTF-8 or holds control characters. So is a path that is absolute, holds `..`, links out
//! of the folder, is not there or was named before.

use std::path::{Path, PathBuf};

use super::attributes::Attributes;
use super::columns::{Columns, FIELDS, Positions};
use super::entry::{Entry, Listing, check_text};
use super::folder::ImageFolder;
use super::part::SplitPart;
use super::part_name::PartName;
use super::{dicom, divide};
use crate::{Error, input};

/// The largest list that is read, in bytes.
const MAX_FILE: u64 = 1 << 28;
/// Reading stops after this many rows that cannot be used.
const MAX_FAULTS: usize = 10_000;

/// The list in the folder `root`, if there is one: splits.csv, else labels.csv.
pub(super) fn file_of(root: &Path) -> Option<PathBuf> {
    let files = ["splits.csv", "labels.csv"].map(|name| root.join(name));
    files.into_iter().find(|file| file.symlink_metadata().is_ok())
}

/// The rows of `file` with their attributes. Every path is checked to be a file inside `root`.
///
/// # Errors
/// [`Error::SplitsRow`] for the header, [`Error::Io`], [`Error::TooLarge`]; what is wrong with
/// single rows is among the listing's faults.
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
    let mut folder = ImageFolder::open(root)?;
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
    folder: &mut ImageFolder,
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
    let part = match (split, PartName::of(split).part()) {
        (_, Some(part)) => part,
        // Without the column, the groups are divided later.
        ("", None) => SplitPart::Train,
        (other, None) => {
            return Err(refuse(format!("split is {other:?}; it must be train, val or test")));
        }
    };
    let place = format!("{}, row {row}", file.display());
    let path = folder.check(Path::new(path), &place)?;
    let (class, group, split, validation) =
        (label.to_owned(), group.to_owned(), part.split(), part == SplitPart::Validation);
    Ok(Entry { path, class, group, split, validation, place })
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
