//! Where a command writes: looked at before the work begins, and again when it is written.
//!
//! Refused by name: what is no regular file or folder (a device, a FIFO, a socket), a link, a file
//! where a folder goes and the other way about, what another argument of the command names, what
//! lies in a folder that one names and is not called like a result, a secret key. What stands is
//! replaced with `--force` alone, or where that is what the command is for.

use std::fs;
use std::path::{Path, PathBuf};

use super::standing::{is_below, is_same, refuse, refuse_secret, refuse_secrets_below, standing};
use super::{leftovers, parent_of, place_new, staged, sync_folder};
use crate::Error;

/// How the names of results end.
const RESULTS: [&str; 5] = ["contribution", "csv", "html", "medforge", "onnx"];
/// Tables that a folder of images is read by.
const LISTS: [&str; 2] = ["labels.csv", "splits.csv"];

/// The paths on a command line, so that no output takes the place of what another argument names.
#[derive(Clone, Debug, Default)]
pub struct Places(pub Vec<Place>);

/// One path on a command line.
#[derive(Clone, Debug)]
pub struct Place {
    /// As people know it: `--out`, or a positional argument's name.
    pub name: String,
    pub path: PathBuf,
    /// Whether the command writes it.
    pub output: bool,
}

impl Places {
    /// The file that `option` names; with `force` what stands there is replaced.
    pub fn file(&self, option: &'static str, path: &Path, force: bool) -> Result<NewFile, Error> {
        self.new_file(option, path, if force { Replaces::Forced } else { Replaces::Nothing })
    }

    /// A file that the command is there to keep up to date, such as a state file: no word is needed
    /// to replace it.
    pub fn updated(&self, option: &'static str, path: &Path) -> Result<NewFile, Error> {
        self.new_file(option, path, Replaces::Older)
    }

    /// The folder that `option` names. With `force` one that stands there is replaced if it holds
    /// the file `marker`, by which packer knows a folder of its own.
    pub fn folder(
        &self,
        option: &'static str,
        path: &Path,
        force: bool,
        marker: &'static str,
    ) -> Result<NewFolder, Error> {
        self.new_folder(option, path, if force { Holds::Marker(marker) } else { Holds::NotThere })
    }

    /// The folder that `option` names, where there is none or an empty one.
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

    /// The others than `option` that the command line names.
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

/// What a file may take the place of.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Replaces {
    Nothing,
    Forced,
    Older,
}

impl NewFile {
    /// Where it goes.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes it: whole, or not at all.
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
            // The same with and without `--force`: nobody is told to pass what does not help.
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

/// What may be in a folder that another one takes the place of.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Holds {
    /// There must be no folder.
    NotThere,
    Nothing,
    Marker(&'static str),
}

impl NewFolder {
    /// Where it goes.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder that it takes the place of, if there is one and it may go.
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

    /// Whether what stands is an empty folder, which goes without a trace.
    pub(super) fn replaces_nothing(&self) -> bool {
        self.holds == Holds::Nothing
    }
}

/// A folder in which files go, made if need be.
pub fn folder_for(option: &str, dir: &Path) -> Result<(), Error> {
    match fs::metadata(dir) {
        Ok(found) if !found.is_dir() => {
            Err(refuse(dir, format!("is no folder; name one for {option}")))
        }
        _ => parent_of(&dir.join("x")).map(drop),
    }
}

/// Whether `path` has the name of a result, which no folder's reader looks at: a page, a table, an
/// archive.
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
