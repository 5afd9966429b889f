//! Reads `splits.csv` or `labels.csv`: one image a row, with the columns path, label, group and split (train or test). labels.csv may leave group and
//! split away: then a group is the PatientID of DICOM files, and whole groups are divided. Further columns are attributes.
//!
//! Refused, naming the row: a missing column or field, another split word, a path that is absolute, holds `..`, links out of the
//! folder, is not there or was named before, and text that is not UTF-8 or holds control characters.

use std::collections::HashMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::attributes::{Attribute, Attributes};
use super::dataset::{Entry, Split};
use super::{dicom, divide};
use crate::Error;

/// The largest list that is read, in bytes.
const MAX_FILE: u64 = 1 << 28;
/// The longest label or group, in bytes.
const MAX_NAME: usize = 200;
const COLUMNS: [&str; 4] = ["path", "label", "group", "split"];

/// The list that a folder has, if it has one: splits.csv, else labels.csv.
pub(super) fn file_of(root: &Path) -> Option<PathBuf> {
    let files = ["splits.csv", "labels.csv"].map(|name| root.join(name));
    files.into_iter().find(|file| file.symlink_metadata().is_ok())
}

/// The rows of `file`, with every path checked to be a file inside `root`, and what else is known of them.
pub(super) fn read(root: &Path, file: &Path) -> Result<(Vec<Entry>, Vec<Attribute>), Error> {
    let size = fs::metadata(file).map_err(|e| Error::io(file, e))?.len();
    if size > MAX_FILE {
        let what = format!("{size} bytes is too large for a list of images; the limit is {MAX_FILE}");
        return Err(Error::TooLarge { path: file.to_owned(), what });
    }
    let bytes = fs::read(file).map_err(|e| Error::io(file, e))?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let mut attributes = Attributes::default();
    let header = reader.headers().map_err(|e| csv_error(file, e))?;
    let in_header = |what: String| Error::SplitsRow { file: file.to_owned(), row: 1, what };
    let columns = columns(header, if file.ends_with("labels.csv") { 2 } else { 4 }).map_err(in_header)?;
    let mut others = Vec::new();
    for (column, name) in header.iter().enumerate().filter(|(_, name)| !name.is_empty() && !COLUMNS.contains(name)) {
        attributes.begin(name).map_err(in_header)?;
        others.push(column);
    }
    let mut folder = Folder::open(root)?;
    let mut entries = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| csv_error(file, e))?;
        let row = record.position().map_or(0, csv::Position::line);
        let refuse = |what: String| Error::SplitsRow { file: file.to_owned(), row, what };
        let mut fields = [""; 4];
        for ((field, column), name) in fields.iter_mut().zip(columns).zip(COLUMNS) {
            let Some(column) = column else { continue };
            *field = record.get(column).unwrap_or_default();
            check_text(name, field).map_err(refuse)?;
        }
        let [path, label, group, split] = fields;
        let split = match split {
            "test" => Split::Test,
            "train" => Split::Train,
            // No column: divided below.
            "" => Split::Train,
            other => return Err(refuse(format!("split is {other:?}; it must be train or test"))),
        };
        for (number, &column) in others.iter().enumerate() {
            attributes.push(number, record.get(column).unwrap_or_default()).map_err(refuse)?;
        }
        let place = format!("{}, row {row}", file.display());
        let path = folder.check(Path::new(path), &place)?;
        entries.push(Entry { path, class: label.to_owned(), group: group.to_owned(), split, place });
    }
    let [_, _, group, split] = columns.map(|column| column.is_some());
    dicom::complete(root, group, &mut entries, &mut attributes)?;
    if !split {
        divide::by_group(file, &mut entries)?;
    }
    Ok((entries, attributes.finish()))
}

/// Why `text` cannot be a label, a group or a path.
pub(super) fn check_text(name: &str, text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err(format!("{name} is empty"));
    }
    if name != "path" && text.len() > MAX_NAME {
        return Err(format!("{name} is {} bytes long; the limit is {MAX_NAME}", text.len()));
    }
    match text.chars().any(char::is_control) {
        true => Err(format!("{name} {text:?} holds a control character")),
        false => Ok(()),
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

    /// `path`, relative and without `.`, if it is a plain file inside the folder, named here for the first time.
    pub fn check(&mut self, path: &Path, place: &str) -> Result<PathBuf, Error> {
        let leaves = || Error::PathLeavesFolder { place: place.to_owned(), path: path.to_owned() };
        let mut plain = PathBuf::new();
        for component in path.components() {
            match component {
                Component::Normal(part) => plain.push(part),
                Component::CurDir => {}
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => return Err(leaves()),
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
            Some(first) => Err(Error::DuplicatePath { path: path.to_owned(), first, second: place.to_owned() }),
            None => Ok(plain),
        }
    }
}

/// Where the four columns stand, of which the first `needed` must.
fn columns(header: &csv::StringRecord, needed: usize) -> Result<[Option<usize>; 4], String> {
    let mut columns = [None; 4];
    for (number, (column, name)) in columns.iter_mut().zip(COLUMNS).enumerate() {
        let mut found = header.iter().enumerate().filter(|(_, h)| *h == name).map(|(i, _)| i);
        *column = found.next();
        if column.is_none() && number < needed {
            let names = if needed == 4 { "path, label, group and split" } else { "path and label" };
            return Err(format!("column {name} is missing; the header must name {names}"));
        }
        if found.next().is_some() {
            return Err(format!("column {name} is there twice"));
        }
    }
    Ok(columns)
}

fn csv_error(file: &Path, error: csv::Error) -> Error {
    let row = error.position().map_or(1, csv::Position::line);
    let what = match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "the text is not UTF-8".to_owned(),
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("{len} fields where the header has {expected_len}")
        }
        _ => error.to_string(),
    };
    Error::SplitsRow { file: file.to_owned(), row, what }
}
