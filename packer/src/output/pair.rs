//! Two new files that are written together or not at all: a public key and its secret key.

use std::path::{Path, PathBuf};
use std::{fs, io};

use super::folders::sync_folder;
use super::leftovers;
use super::stage::{place_new, staged};
use super::standing::standing;
use crate::Error;

/// The places of both files.
pub struct NewPair {
    public: PathBuf,
    secret: PathBuf,
}

impl NewPair {
    /// Both places. Nothing may exist there, since a key is never replaced.
    ///
    /// # Errors
    /// [`Error::Key`] if something exists, [`Error::Output`] if that is no regular file.
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

    /// Writes both. Only the owner may read the secret key (mode 0600 on Unix).
    pub fn write(&self, public: &[u8], secret: &[u8]) -> Result<(), Error> {
        let (public, parent) = staged(&self.public, public, 0o666)?;
        let (secret, _) = staged(&self.secret, secret, 0o600)?;
        let refuse = |path: &Path, error: io::Error| match error.kind() {
            io::ErrorKind::AlreadyExists => exists(path),
            _ => Error::io(path, error),
        };
        // The public key keeps its temporary name until the end, and the secret key loses its own
        // in the last step: see `recover`.
        let first_name = match fs::hard_link(public.path(), &self.public) {
            Ok(()) => Some(public),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(exists(&self.public));
            }
            Err(_) => place_new(public, &self.public)
                .map(|()| None)
                .map_err(|e| refuse(&self.public, e))?,
        };
        if let Err(error) = place_new(secret, &self.secret) {
            // A public key without its secret key is useless, and would block the next try.
            let _ = fs::remove_file(&self.public);
            return Err(refuse(&self.secret, error));
        }
        drop(first_name);
        sync_folder(&parent)
    }

    /// Removes what a killed run left: a public key whose secret key still has its temporary name.
    /// If there is no such secret key, the pair was complete, wherever its secret key is now.
    fn recover(&self) {
        let (public, secret) = (leftovers::found(&self.public), leftovers::found(&self.secret));
        let is_half =
            !secret.is_empty() && public.iter().any(|left| is_one_file(&left.path, &self.public));
        if is_half && fs::symlink_metadata(&self.secret).is_err() {
            let _ = fs::remove_file(&self.public);
        }
        drop((public, secret));
        leftovers::remove(&self.public);
        leftovers::remove(&self.secret);
    }
}

fn exists(path: &Path) -> Error {
    let what = "exists already and a key is never replaced; choose another name".into();
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
