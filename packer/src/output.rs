//! Outputs that are whole or absent: written beside their place under a temporary name, flushed to
//! disk, then renamed. Also standard output, so that no pipe or full disk ends in a panic.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, PersistError};

use crate::Error;

mod console;
mod dir;
mod leftovers;
mod pair;
mod standing;
mod target;

pub use console::{arrived, print, say};
pub use dir::OutputDir;
pub use pair::NewPair;
pub use target::{NewFile, NewFolder, Place, Places, folder_for};

/// The time now: RFC 3339, UTC, whole seconds.
pub fn now() -> String {
    jiff::Timestamp::from_second(jiff::Timestamp::now().as_second()).unwrap_or_default().to_string()
}

/// Flushes `bytes` to a temporary file beside `path`; who may read it is `mode`, less what the
/// umask takes.
fn staged(path: &Path, bytes: &[u8], mode: u32) -> Result<(NamedTempFile, PathBuf), Error> {
    let parent = parent_of(path)?;
    let mut file = leftovers::file(path, mode)?;
    file.write_all(bytes)
        .and_then(|()| file.as_file().sync_all())
        .map_err(|e| Error::io(path, e))?;
    Ok((file, parent))
}

/// Moves `file` to `path`, where nothing may stand.
fn place_new(file: NamedTempFile, path: &Path) -> io::Result<()> {
    placed(file.persist_noclobber(path).map(drop), path)
}

/// What became of a file that was to be moved to `path`. Where the file system knows no such move
/// and no hard links (exFAT, SMB, shared folders of virtual machines), the place is looked at once
/// more and the file renamed.
fn placed(moved: Result<(), PersistError>, path: &Path) -> io::Result<()> {
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

/// The folder that holds `path`, made if need be.
fn parent_of(path: &Path) -> Result<PathBuf, Error> {
    let parent = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p.to_owned(),
        _ => PathBuf::from("."),
    };
    fs::create_dir_all(&parent).map_err(|e| Error::io(&parent, e))?;
    Ok(parent)
}

fn sync_folder(folder: &Path) -> Result<(), Error> {
    #[cfg(unix)]
    File::open(folder).and_then(|f| f.sync_all()).map_err(|e| Error::io(folder, e))?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

#[cfg(test)]
mod tests;
