//! Where a command writes: looked at before the work begins, and again when it is written.
//!
//! Refused by name: what is no regular file or folder (a device, a FIFO, a socket), a link, a file where a folder goes
//! and the other way about, what another argument of the command names, a secret key. What stands is replaced with
//! `--force` alone, or where that is what the command is for.

use std::fs::{self, File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{OutputDir, leftovers, parent_of, staged, sync_folder};
use crate::Error;

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

    /// A file that the command is there to keep up to date, such as a state file: no word is needed to replace it.
    pub fn updated(&self, option: &'static str, path: &Path) -> Result<NewFile, Error> {
        self.new_file(option, path, Replaces::Older)
    }

    /// The folder that `option` names. With `force` one that stands there is replaced if it holds the file `marker`, by
    /// which packer knows a folder of its own.
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

    fn new_file(&self, option: &'static str, path: &Path, replaces: Replaces) -> Result<NewFile, Error> {
        let path = path.components().collect::<PathBuf>();
        leftovers::remove(&path);
        let file = NewFile { option, path, replaces, places: self.clone() };
        file.check()?;
        Ok(file)
    }

    fn new_folder(&self, option: &'static str, path: &Path, holds: Holds) -> Result<NewFolder, Error> {
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
            Replaces::Nothing => file.persist_noclobber(&self.path),
            Replaces::Forced | Replaces::Older => file.persist(&self.path),
        };
        moved.map_err(|error| match error.error.kind() {
            std::io::ErrorKind::AlreadyExists => exists(&self.path, self.option),
            _ => Error::io(&self.path, error.error),
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
            if *replaces == Replaces::Forced && !other.output && is_below(path, &other.path) {
                return Err(is_named(path, "lies in", option, other));
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

    /// Begins to write it.
    pub fn begin(self) -> Result<OutputDir, Error> {
        OutputDir::begin(self)
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
            Holds::Nothing if fs::read_dir(path).map_err(|e| Error::io(path, e))?.next().is_some() => {
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

/// What stands at `path`: a regular file or a folder; anything else is refused.
pub(super) fn standing(path: &Path, option: &str) -> Result<Option<Metadata>, Error> {
    if path.file_name().is_none() {
        return Err(refuse(path, format!("is no place for {option}; give it a name")));
    }
    let found = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::io(path, error)),
        Ok(found) => found,
    };
    if found.is_symlink() {
        let to = fs::read_link(path).map_err(|e| Error::io(path, e))?;
        let to = path.parent().map_or(to.clone(), |parent| parent.join(&to));
        return Err(refuse(path, format!("is a link to {0}, which is not followed; name {0} itself", to.display())));
    }
    match found.is_file() || found.is_dir() {
        true => Ok(Some(found)),
        false => {
            let what = format!("is {}, and nothing takes its place; name a new one for {option}", kind(&found));
            Err(refuse(path, what))
        }
    }
}

fn kind(found: &Metadata) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = found.file_type();
        if kind.is_fifo() {
            return "a FIFO";
        }
        if kind.is_socket() {
            return "a socket";
        }
        if kind.is_char_device() || kind.is_block_device() {
            return "a device";
        }
    }
    let _ = found;
    "no regular file"
}

/// Whether both paths are one file or folder, or would be.
fn is_same(path: &Path, other: &Path) -> bool {
    match (fs::symlink_metadata(path), fs::metadata(other)) {
        #[cfg(unix)]
        (Ok(a), Ok(b)) => {
            use std::os::unix::fs::MetadataExt;
            (a.dev(), a.ino()) == (b.dev(), b.ino())
        }
        _ => place_of(path).is_some_and(|place| Some(place) == place_of(other)),
    }
}

/// A path without links and detours, whether or not its last name is there.
fn place_of(path: &Path) -> Option<PathBuf> {
    if let Ok(place) = fs::canonicalize(path) {
        return Some(place);
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Some(fs::canonicalize(parent).ok()?.join(path.file_name()?))
}

/// Whether `path` is there and lies in the folder `folder`.
fn is_below(path: &Path, folder: &Path) -> bool {
    match (fs::canonicalize(path), fs::canonicalize(folder)) {
        (Ok(path), Ok(folder)) => path != folder && path.starts_with(folder),
        _ => false,
    }
}

/// Refuses a file that holds a secret key.
fn refuse_secret(path: &Path, option: &str) -> Result<(), Error> {
    match holds_secret(path)? {
        false => Ok(()),
        true => {
            let what = format!("holds a secret key, which is never replaced; choose another {option}");
            Err(refuse(path, what))
        }
    }
}

fn refuse_secrets_below(folder: &Path, option: &str) -> Result<(), Error> {
    for entry in fs::read_dir(folder).map_err(|e| Error::io(folder, e))? {
        let path = entry.map_err(|e| Error::io(folder, e))?.path();
        let found = fs::symlink_metadata(&path).map_err(|e| Error::io(&path, e))?;
        if found.is_dir() {
            refuse_secrets_below(&path, option)?;
        } else if found.is_file() {
            refuse_secret(&path, option)?;
        }
    }
    Ok(())
}

/// Whether a PEM of a private key stands among the first bytes, of whatever kind it is.
fn holds_secret(path: &Path) -> Result<bool, Error> {
    const LOOKED_AT: u64 = 1 << 16;
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LOOKED_AT).read_to_end(&mut text));
    read.map_err(|e| Error::io(path, e))?;
    let text = String::from_utf8_lossy(&text);
    Ok(text.lines().any(|line| line.contains("-----BEGIN ") && line.contains("PRIVATE KEY-----")))
}

fn refuse(path: &Path, what: String) -> Error {
    Error::Output { path: path.to_owned(), what }
}

fn exists(path: &Path, option: &'static str) -> Error {
    Error::OutputExists { path: path.to_owned(), option }
}

fn is_named(path: &Path, how: &str, option: &str, other: &Place) -> Error {
    let (name, theirs) = (&other.name, other.path.display());
    refuse(path, format!("{how} what {name} names ({theirs}); choose another {option}"))
}

/// A folder in which files go, made if need be.
pub fn folder_for(option: &str, dir: &Path) -> Result<(), Error> {
    match fs::metadata(dir) {
        Ok(found) if !found.is_dir() => Err(refuse(dir, format!("is no folder; name one for {option}"))),
        _ => parent_of(&dir.join("x")).map(drop),
    }
}
