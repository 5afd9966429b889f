//! Names for what is not finished, and the removal of what a killed run left under such names.
//!
//! A name is `.packer-`, 16 digits that stand for the output's name, and 12 random characters.
//! Whoever writes holds a lock on the file or folder, which the system takes back when the process
//! ends: what is locked is never touched, nor is anything on a file system without locks.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::{NamedTempFile, TempDir};

use super::{parent_of, sync_folder};
use crate::Error;

/// Random characters of a name.
const RANDOM: usize = 12;
/// Put before them where an older folder waits to go.
const OLDER: &str = "old-";
/// How often a name is tried that somebody removes at once.
const TRIES: usize = 16;

/// A new file for what goes to `target`, held by this process; who may read it is `mode`, less what
/// the umask takes.
pub(super) fn file(target: &Path, mode: u32) -> Result<NamedTempFile, Error> {
    let make = |parent: &Path| named(&prefix(target), mode).tempfile_in(parent);
    held(target, make, |made| !is_taken(made.as_file()) && made.path().exists())
}

/// A new folder for what goes to `target`, and the lock that holds it.
pub(super) fn folder(target: &Path) -> Result<(TempDir, Option<File>), Error> {
    let make = |parent: &Path| {
        let made = named(&prefix(target), 0o777).tempdir_in(parent)?;
        let lock = File::open(made.path()).ok();
        Ok((made, lock))
    };
    held(target, make, |(made, lock)| !lock.as_ref().is_some_and(is_taken) && made.path().exists())
}

/// What `make` makes beside `target`, made anew where somebody removed it before it was held.
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

/// A name beside `target` for the older folder that leaves its place, and the lock that holds that
/// folder.
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

/// Takes from an older folder the name under which it would come back, so that what a kill leaves
/// of it never does.
pub(super) fn doomed(aside: &Path) -> io::Result<PathBuf> {
    let name = aside.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let gone = aside.with_file_name(name.replacen(OLDER, "", 1));
    fs::rename(aside, &gone)?;
    if let Some(parent) = gone.parent() {
        let _ = sync_folder(parent);
    }
    Ok(gone)
}

/// Removes what killed runs left of `target`. An older folder that was in the way when the run was
/// killed goes back to its place. What cannot be removed stays: it harms nobody.
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

/// Something that a killed run left.
pub(super) struct Left {
    pub path: PathBuf,
    is_older: bool,
    _lock: File,
}

/// What killed runs left of `target`, each locked.
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

/// Locks a file or folder, unless another process has: one that removes it, or a stranger, for whom
/// nobody waits. Where the system has no locks for it, it stays unlocked, and nobody removes it.
fn is_taken(file: &File) -> bool {
    matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}

/// What the names of `target`'s unfinished files and folders begin with.
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
