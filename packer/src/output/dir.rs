//! A folder that appears at its place only when it is complete.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use tempfile::TempDir;

use super::folders::{parent_of, sync_folder};
use super::{NewFolder, leftovers};
use crate::Error;

/// A folder that is being written. It appears at its place when [`OutputDir::commit`] is called,
/// and leaves no trace otherwise.
pub struct OutputDir {
    target: NewFolder,
    temporary: TempDir,
    _lock: Option<File>,
}

impl NewFolder {
    /// Starts to write the folder.
    pub fn begin(self) -> Result<OutputDir, Error> {
        self.check()?;
        let (temporary, lock) = leftovers::folder(self.path())?;
        Ok(OutputDir { target: self, temporary, _lock: lock })
    }
}

impl OutputDir {
    /// The temporary folder to write to.
    pub fn path(&self) -> &Path {
        self.temporary.path()
    }

    /// Writes one file inside, flushed to disk.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.path().join(name);
        let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| {
            let mut file = File::create(&path)?;
            file.write_all(bytes)?;
            file.sync_all()
        });
        written.map_err(|e| Error::io(self.target.path().join(name), e))
    }

    /// Moves the folder to its place. A folder that it replaces is removed only after that.
    pub fn commit(self) -> Result<(), Error> {
        let OutputDir { target: folder, temporary, _lock } = self;
        let (target, parent) = (folder.path(), parent_of(folder.path())?);
        let old = match folder.check()? {
            None => None,
            Some(_) if folder.replaces_nothing() => {
                // The system refuses this if the folder is no longer empty.
                fs::remove_dir(target).map_err(|e| Error::io(target, e))?;
                None
            }
            Some(_) => {
                let (aside, lock) = leftovers::aside(target)?;
                fs::rename(target, &aside).map_err(|e| Error::io(target, e))?;
                Some((aside, lock))
            }
        };
        if let Err(error) = fs::rename(temporary.path(), target) {
            if let Some((aside, _lock)) = old {
                fs::rename(&aside, target).map_err(|e| Error::io(&aside, e))?;
            }
            return Err(Error::io(target, error));
        }
        let _moved_away = temporary.keep();
        sync_folder(&parent)?;
        match old {
            Some((aside, _lock)) => leftovers::discard(&aside).map_err(|e| Error::io(&aside, e)),
            None => Ok(()),
        }
    }
}
