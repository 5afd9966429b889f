//! Temporary names for unfinished outputs, and the removal of those that a killed run left.
//!
//! A name is `.packer-`, 16 digits that stand for the output's name, and 12 random characters. The
//! writer holds a lock on the file or folder, which the system releases when the process ends. A
//! locked file is never touched, and on a file system without locks none is.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::{NamedTempFile, TempDir};

use super::folders::{parent_of, sync_folder};
use crate::Error;

/// Random characters of a name.
const RANDOM: usize = 12;
/// Stands before them in the name of an older folder that waits for its removal.
const OLDER: &str = "old-";
/// How often a file is made again if somebody removes it at once.
const TRIES: usize = 16;

/// A new temporary file for `target`, locked by this process. Its permissions are `mode` without
/// the bits of the umask.
pub(super) fn file(target: &Path, mode: u32) -> Result<NamedTempFile, Error> {
    let make = |parent: &Path| named(&prefix(target), mode).tempfile_in(parent);
    held(target, make, |made| !is_taken(made.as_file()) && made.path().exists())
}

/// A new temporary folder for `target`, and its lock.
pub(super) fn folder(target: &Path) -> Result<(TempDir, Option<File>), Error> {
    let make = |parent: &Path| {
        let made = named(&prefix(target), 0o777).tempdir_in(parent)?;
        let lock = File::open(made.path()).ok();
        Ok((made, lock))
    };
    held(target, make, |(made, lock)| !lock.as_ref().is_some_and(is_taken) && made.path().exists())
}

/// Calls `make` beside `target`, and again if somebody removed the result before it was locked.
fn held<M>(
    target: &Path,
    make: impl Fn(&Path) -> io::Result<M>,
    is_held: impl Fn(&M) -> bool,
) -> Result<M, Error> {
    let parent = parent_of(target)?;
    for _ in 0..TRIES {
        let made = make(&parent).map_err(|e| Error::io(&parent, e))?;
        if is_held(&made) {
            return Ok(made);
        }
    }
    Err(Error::io(parent, io::ErrorKind::NotFound.into()))
}

/// A name beside `target` for the older folder that leaves its place, and that folder's lock.
pub(super) fn aside(target: &Path) -> Result<(PathBuf, Option<File>), Error> {
    let parent = parent_of(target)?;
    let prefix = format!("{}{OLDER}", prefix(target));
    let place = named(&prefix, 0o777).tempdir_in(&parent).map_err(|e| Error::io(&parent, e))?;
    let path = place.path().to_owned();
    place.close().map_err(|e| Error::io(&path, e))?;
    let lock = File::open(target).ok();
    let _ = lock.as_ref().map(is_taken);
    Ok((path, lock))
}

/// Removes an older folder that is no longer needed.
pub(super) fn discard(aside: &Path) -> io::Result<()> {
    fs::remove_dir_all(doomed(aside)?)
}

/// Gives an older folder a name under which it is not restored. So a kill during its removal cannot
/// bring the rest back.
pub(super) fn doomed(aside: &Path) -> io::Result<PathBuf> {
    let name = aside.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let gone = aside.with_file_name(name.replacen(OLDER, "", 1));
    fs::rename(aside, &gone)?;
    if let Some(parent) = gone.parent() {
        let _ = sync_folder(parent);
    }
    Ok(gone)
}

/// Removes what killed runs left of `target`. If a run was killed between its two renames, the
/// older folder goes back to its place. What cannot be removed stays and does no harm.
pub(super) fn remove(target: &Path) {
    for left in found(target) {
        let _ = match (left.is_older, left.path.is_dir()) {
            (true, _) if fs::symlink_metadata(target).is_err() => fs::rename(&left.path, target),
            (true, _) => discard(&left.path),
            (false, true) => fs::remove_dir_all(&left.path),
            (false, false) => fs::remove_file(&left.path),
        };
    }
}

/// A file or folder that a killed run left.
pub(super) struct Left {
    pub path: PathBuf,
    is_older: bool,
    _lock: File,
}

/// The files and folders that killed runs left of `target`, each locked.
pub(super) fn found(target: &Path) -> Vec<Left> {
    let parent =
        target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let prefix = prefix(target);
    let left = |entry: io::Result<fs::DirEntry>| {
        let entry = entry.ok()?;
        let name = entry.file_name().into_string().ok()?;
        let rest = name.strip_prefix(&prefix)?;
        let (rest, is_older) = rest.strip_prefix(OLDER).map_or((rest, false), |rest| (rest, true));
        let ours = rest.len() == RANDOM && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let kind = entry.file_type().ok()?;
        if !ours || !(kind.is_dir() || kind.is_file() && !is_older) {
            return None;
        }
        let lock = File::open(entry.path()).ok()?;
        lock.try_lock().ok()?;
        Some(Left { path: parent.join(name), is_older, _lock: lock })
    };
    fs::read_dir(parent).map(|all| all.filter_map(left).collect()).unwrap_or_default()
}

/// Locks a file or folder. True if another process has locked it already; nobody waits for that. If
/// the system has no locks for it, it stays unlocked, and nobody removes it.
fn is_taken(file: &File) -> bool {
    matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}

/// The start of the names of `target`'s unfinished files and folders.
fn prefix(target: &Path) -> String {
    let name = target.file_name().unwrap_or_default();
    format!(".packer-{}-", &hex::encode(Sha256::digest(name.as_encoded_bytes()))[..16])
}

fn named<'a>(prefix: &'a str, mode: u32) -> tempfile::Builder<'a, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix).rand_bytes(RANDOM);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(mode));
    }
    #[cfg(not(unix))]
    let _ = mode;
    builder
}
