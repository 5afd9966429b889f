//! Reads `splits.csv`: one image a row, with the columns path, label, group and split (train or test).
//!
//! Refused, naming the row: a missing column or field, another split word, a path that is absolute, holds `..`, links out of the
//! folder, is not there or was named before, and text that is not UTF-8 or holds control characters.

use std::collections::HashMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::dataset::{Entry, Split};
use crate::Error;

/// The largest splits.csv that is read, in bytes.
const MAX_FILE: u64 = 1 << 28;
/// The longest label or group, in bytes.
const MAX_NAME: usize = 200;
const COLUMNS: [&str; 4] = ["path", "label", "group", "split"];

/// The splits.csv of a folder, if it has one.
pub(super) fn file_of(root: &Path) -> Option<PathBuf> {
    let file = root.join("splits.csv");
    file.symlink_metadata().is_ok().then_some(file)
}

/// The rows of `file`, with every path checked to be a file inside `root`.
pub(super) fn read(root: &Path, file: &Path) -> Result<Vec<Entry>, Error> {
    let size = fs::metadata(file).map_err(|e| Error::io(file, e))?.len();
    if size > MAX_FILE {
        let what = format!("{size} bytes is too large for a list of images; the limit is {MAX_FILE}");
        return Err(Error::TooLarge { path: file.to_owned(), what });
    }
    let bytes = fs::read(file).map_err(|e| Error::io(file, e))?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let columns = columns(file, reader.headers().map_err(|e| csv_error(file, e))?)?;
    let mut folder = Folder::open(root)?;
    let mut entries = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| csv_error(file, e))?;
        let row = record.position().map_or(0, csv::Position::line);
        let refuse = |what: String| Error::SplitsRow { file: file.to_owned(), row, what };
        let mut fields = [""; 4];
        for ((field, column), name) in fields.iter_mut().zip(columns).zip(COLUMNS) {
            *field = record.get(column).unwrap_or_default();
            check_text(name, field).map_err(refuse)?;
        }
        let [path, label, group, split] = fields;
        let split = match split {
            "train" => Split::Train,
            "test" => Split::Test,
            other => return Err(refuse(format!("split is {other:?}; it must be train or test"))),
        };
        let place = format!("{}, row {row}", file.display());
        let path = folder.check(Path::new(path), &place)?;
        entries.push(Entry { path, class: label.to_owned(), group: group.to_owned(), split, place });
    }
    Ok(entries)
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

/// Where the four columns stand.
fn columns(file: &Path, header: &csv::StringRecord) -> Result<[usize; 4], Error> {
    let mut columns = [0; 4];
    for (column, name) in columns.iter_mut().zip(COLUMNS) {
        let mut found = header.iter().enumerate().filter(|(_, h)| *h == name).map(|(i, _)| i);
        let what = match (found.next(), found.next()) {
            (Some(first), None) => {
                *column = first;
                continue;
            }
            (None, _) => format!("column {name} is missing; the header must name path, label, group and split"),
            (Some(_), Some(_)) => format!("column {name} is there twice"),
        };
        return Err(Error::SplitsRow { file: file.to_owned(), row: 1, what });
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
