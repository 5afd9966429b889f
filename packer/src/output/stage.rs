//! Files that are written beside their place and then moved to it.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, PersistError};

use super::folders::parent_of;
use super::leftovers;
use crate::Error;

/// Writes `bytes` to a temporary file beside `path`, flushed to disk. Its permissions are `mode`
/// without the bits of the umask.
pub fn staged(path: &Path, bytes: &[u8], mode: u32) -> Result<(NamedTempFile, PathBuf), Error> {
    let parent = parent_of(path)?;
    let mut file = leftovers::file(path, mode)?;
    file.write_all(bytes)
        .and_then(|()| file.as_file().sync_all())
        .map_err(|e| Error::io(path, e))?;
    Ok((file, parent))
}

/// Moves `file` to `path`, where nothing may exist.
pub fn place_new(file: NamedTempFile, path: &Path) -> io::Result<()> {
    placed(file.persist_noclobber(path).map(drop), path)
}

/// The result of moving a file to `path`. Some file systems have neither a move that replaces
/// nothing nor hard links: exFAT, SMB, shared folders of virtual machines. There the place is
/// checked once more, and the file is renamed.
pub fn placed(moved: Result<(), PersistError>, path: &Path) -> io::Result<()> {
    use io::ErrorKind::{AlreadyExists, InvalidInput, PermissionDenied, Unsupported};
    let Err(PersistError { error, file }) = moved else { return Ok(()) };
    if !matches!(error.kind(), InvalidInput | PermissionDenied | Unsupported) {
        return Err(error);
    }
    match fs::symlink_metadata(path) {
        Ok(_) => Err(AlreadyExists.into()),
        Err(_) => file.persist(path).map(drop).map_err(|e| e.error),
    }
}
