//! Two new files of which neither is there without the other: a public key and its secret one.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::standing::standing;
use super::{leftovers, staged, sync_folder};
use crate::Error;

/// The places of both files.
pub struct NewPair {
    public: PathBuf,
    secret: PathBuf,
}

impl NewPair {
    /// Both places, where nothing may stand: nothing that the files would replace is ever replaced.
    ///
    /// # Errors
    /// [`Error::Key`] where something stands, [`Error::Output`] where that is no regular file.
    pub fn new(option: &'static str, public: PathBuf, secret: PathBuf) -> Result<Self, Error> {
        let pair = NewPair { public, secret };
        pair.recover();
        for path in [&pair.secret, &pair.public] {
            if standing(path, option)?.is_some() {
                return Err(exists(path));
            }
        }
        Ok(pair)
    }

    /// Writes both; the secret one is for its owner alone (mode 0600 on Unix).
    pub fn write(&self, public: &[u8], secret: &[u8]) -> Result<(), Error> {
        let (public, parent) = staged(&self.public, public, 0o666)?;
        let (secret, _) = staged(&self.secret, secret, 0o600)?;
        // Both stay under their first names too until both are in their places: see `recover`.
        let public = Placed::at(&self.public, public)?;
        match Placed::at(&self.secret, secret) {
            Ok(_secret) => sync_folder(&parent),
            Err(error) => {
                // A public key without its secret one is of no use, and would be in the way of the
                // next try.
                let _ = fs::remove_file(&self.public);
                drop(public);
                Err(error)
            }
        }
    }

    /// Removes what a run left that was killed: a public key that still has its first name, and no
    /// secret one beside it.
    fn recover(&self) {
        let left = leftovers::found(&self.public);
        if left.iter().any(|left| is_one_file(&left.path, &self.public)) && fs::symlink_metadata(&self.secret).is_err()
        {
            let _ = fs::remove_file(&self.public);
        }
        drop(left);
        leftovers::remove(&self.public);
        leftovers::remove(&self.secret);
    }
}

/// A file in its place; where the file system knows links, under its first name too until this is
/// dropped.
struct Placed {
    _file: Option<NamedTempFile>,
}

impl Placed {
    fn at(path: &Path, file: NamedTempFile) -> Result<Self, Error> {
        let refuse = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => exists(path),
            _ => Error::io(path, error),
        };
        match fs::hard_link(file.path(), path) {
            Ok(()) => Ok(Placed { _file: Some(file) }),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(refuse(error)),
            Err(_) => file.persist_noclobber(path).map(|_| Placed { _file: None }).map_err(|e| refuse(e.error)),
        }
    }
}

fn exists(path: &Path) -> Error {
    let what = "exists already and a key is never replaced; choose another --out".into();
    Error::Key { path: path.to_owned(), what }
}

#[cfg(unix)]
fn is_one_file(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |path: &Path| fs::symlink_metadata(path).ok().map(|found| (found.dev(), found.ino()));
    id(a).is_some_and(|a| Some(a) == id(b))
}

#[cfg(not(unix))]
fn is_one_file(_: &Path, _: &Path) -> bool {
    false
}
