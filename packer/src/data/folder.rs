//! The folder that all images of a data set lie in.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use crate::Error;

/// The folder of a data set, and the images that were named so far.
pub(super) struct ImageFolder {
    root: PathBuf,
    canonical: PathBuf,
    /// Each image's place in the list, by its canonical path.
    named: HashMap<PathBuf, String>,
}

impl ImageFolder {
    pub fn open(root: &Path) -> Result<ImageFolder, Error> {
        let canonical = root.canonicalize().map_err(|e| Error::io(root, e))?;
        Ok(ImageFolder { root: root.to_owned(), canonical, named: HashMap::new() })
    }

    /// `path` without its `.` parts, if it is relative and leads to a plain file in the folder.
    ///
    /// # Errors
    /// [`Error::PathLeavesFolder`], [`Error::ImageMissing`], and [`Error::DuplicatePath`] where the
    /// file was named before.
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
