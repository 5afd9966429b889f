//! The places that a command writes to. They are checked before the work starts, and again before
//! the output is moved there.
//!
//! Refused by name:
//! - a device, a FIFO, a socket or a link;
//! - a file in place of a folder, and a folder in place of a file;
//! - a path that another argument of the command names;
//! - a path in a folder that another argument names, unless it is named like a result;
//! - a secret key.
//!
//! Existing files are replaced only with `--force`, or if that is the purpose of the command.

use std::fs;
use std::path::{Path, PathBuf};

use super::folders::{parent_of, sync_folder};
use super::leftovers;
use super::stage::{place_new, staged};
use super::standing::{is_below, is_same, refuse, refuse_secret, refuse_secrets_below, standing};
use crate::Error;

/// The extensions of results.
const RESULTS: [&str; 5] = ["contribution", "csv", "html", "medforge", "onnx"];
/// The tables in a folder of images.
const LISTS: [&str; 2] = ["labels.csv", "splits.csv"];

/// The paths on a command line. No output may replace what another argument names.
#[derive(Clone, Debug, Default)]
pub struct Places(pub Vec<Place>);

/// One path on a command line.
#[derive(Clone, Debug)]
pub struct Place {
    /// The name that people know: `--out`, or a positional argument's name.
    pub name: String,
    pub path: PathBuf,
    /// Whether the command writes it.
    pub output: bool,
}

impl Places {
    /// The file that `option` names. With `force` an existing file is replaced.
    pub fn file(&self, option: &'static str, path: &Path, force: bool) -> Result<NewFile, Error> {
        self.new_file(option, path, if force { Replaces::Forced } else { Replaces::Nothing })
    }

    /// A file that the command keeps up to date, such as a state file. It is replaced without
    /// `force`.
    pub fn updated(&self, option: &'static str, path: &Path) -> Result<NewFile, Error> {
        self.new_file(option, path, Replaces::Older)
    }

    /// The folder that `option` names. With `force` an existing folder is replaced, if it holds the
    /// file `marker` that packer writes to its own folders.
    pub fn folder(
        &self,
        option: &'static str,
        path: &Path,
        force: bool,
        marker: &'static str,
    ) -> Result<NewFolder, Error> {
        self.new_folder(option, path, if force { Holds::Marker(marker) } else { Holds::NotThere })
    }

    /// The folder that `option` names. It must not exist, or be empty.
    pub fn empty_folder(&self, option: &'static str, path: &Path) -> Result<NewFolder, Error> {
        self.new_folder(option, path, Holds::Nothing)
    }

    fn new_file(
        &self,
        option: &'static str,
        path: &Path,
        replaces: Replaces,
    ) -> Result<NewFile, Error> {
        let path = path.components().collect::<PathBuf>();
        leftovers::remove(&path);
        let file = NewFile { option, path, replaces, places: self.clone() };
        file.check()?;
        Ok(file)
    }

    fn new_folder(
        &self,
        option: &'static str,
        path: &Path,
        holds: Holds,
    ) -> Result<NewFolder, Error> {
        let path = path.components().collect::<PathBuf>();
        leftovers::remove(&path);
        let folder = NewFolder { option, path, holds, places: self.clone() };
        folder.check()?;
        Ok(folder)
    }

    /// The paths on the command line, without that of `option`.
    fn others(&self, option: &str) -> impl Iterator<Item = &Place> {
        self.0.iter().filter(move |place| place.name != option)
    }
}

/// A file to be written.
#[derive(Clone, Debug)]
pub struct NewFile {
    option: &'static str,
    path: PathBuf,
    replaces: Replaces,
    places: Places,
}

/// What a file may replace.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Replaces {
    Nothing,
    Forced,
    Older,
}

impl NewFile {
    /// Its place.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the file, completely or not at all.
    pub fn write(&self, bytes: &[u8]) -> Result<(), Error> {
        let (file, parent) = staged(&self.path, bytes, 0o666)?;
        self.check()?;
        let moved = match self.replaces {
            Replaces::Nothing => place_new(file, &self.path),
            Replaces::Forced | Replaces::Older => {
                file.persist(&self.path).map(drop).map_err(|e| e.error)
            }
        };
        moved.map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => exists(&self.path, self.option),
            _ => Error::io(&self.path, error),
        })?;
        sync_folder(&parent)
    }

    fn check(&self) -> Result<(), Error> {
        let NewFile { option, path, replaces, places } = self;
        let found = standing(path, option)?;
        for other in places.others(option) {
            if is_same(path, &other.path) {
                return Err(is_named(path, "is", option, other));
            }
            // This holds with and without `--force`, so nobody is told to pass it in vain.
            let may_be_read = *replaces != Replaces::Older && !other.output && !is_result(path);
            if may_be_read && is_below(path, &other.path) {
                return Err(is_named(path, "lies in, and may belong to,", option, other));
            }
        }
        let Some(found) = found else { return Ok(()) };
        if found.is_dir() {
            return Err(refuse(path, "is a folder; name a file".into()));
        }
        if *replaces == Replaces::Nothing {
            return Err(exists(path, option));
        }
        refuse_secret(path, option)
    }
}

/// A folder to be written.
#[derive(Clone, Debug)]
pub struct NewFolder {
    option: &'static str,
    path: PathBuf,
    holds: Holds,
    places: Places,
}

/// What a folder may hold that is replaced.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Holds {
    /// There must be no folder.
    NotThere,
    Nothing,
    Marker(&'static str),
}

impl NewFolder {
    /// Its place.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder that it replaces, if there is one and it may be replaced.
    pub(super) fn check(&self) -> Result<Option<&Path>, Error> {
        let NewFolder { option, path, holds, places } = self;
        let found = standing(path, option)?;
        for other in places.others(option) {
            if is_same(path, &other.path) {
                return Err(is_named(path, "is", option, other));
            }
            if !other.output && is_below(&other.path, path) {
                return Err(is_named(path, "holds", option, other));
            }
        }
        let Some(found) = found else { return Ok(None) };
        if !found.is_dir() {
            return Err(refuse(path, "is a file; name a folder".into()));
        }
        match holds {
            Holds::NotThere => return Err(exists(path, option)),
            Holds::Nothing
                if fs::read_dir(path).map_err(|e| Error::io(path, e))?.next().is_some() =>
            {
                return Err(Error::NotEmpty { path: path.clone() });
            }
            Holds::Nothing => {}
            Holds::Marker(marker) if !path.join(marker).exists() => {
                return Err(Error::NotReplaced { path: path.clone(), marker });
            }
            Holds::Marker(_) => refuse_secrets_below(path, option)?,
        }
        Ok(Some(path))
    }

    /// Whether only an empty folder may be replaced.
    pub(super) fn replaces_nothing(&self) -> bool {
        self.holds == Holds::Nothing
    }
}

/// Creates the folder `dir` for several files, unless it exists.
pub fn folder_for(option: &str, dir: &Path) -> Result<(), Error> {
    match fs::metadata(dir) {
        Ok(found) if !found.is_dir() => {
            Err(refuse(dir, format!("is no folder; name one for {option}")))
        }
        _ => parent_of(&dir.join("x")).map(drop),
    }
}

/// Whether `path` is named like a result: a page, a table, an archive. Readers of folders ignore
/// those.
fn is_result(path: &Path) -> bool {
    let is_list = path
        .file_name()
        .is_some_and(|name| LISTS.iter().any(|list| name.eq_ignore_ascii_case(list)));
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    !is_list && RESULTS.iter().any(|result| ending.eq_ignore_ascii_case(result))
}

fn exists(path: &Path, option: &'static str) -> Error {
    Error::OutputExists { path: path.to_owned(), option }
}

fn is_named(path: &Path, how: &str, option: &str, other: &Place) -> Error {
    let (name, theirs) = (&other.name, other.path.display());
    refuse(path, format!("{how} what {name} names ({theirs}); choose another {option}"))
}
