//! Outputs that are whole or absent: written beside their place under a temporary name, flushed to disk, then renamed.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempDir};

use crate::Error;

/// Writes `bytes` to `path`, replacing what was there only once every byte is on disk.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    write_file_with(path, bytes, false)
}

/// As [`write_file`], readable and writable by the owner alone (mode 0600 on Unix).
pub fn write_secret(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    write_file_with(path, bytes, true)
}

/// The time now: RFC 3339, UTC, whole seconds.
pub fn now() -> String {
    jiff::Timestamp::from_second(jiff::Timestamp::now().as_second()).unwrap_or_default().to_string()
}

/// A folder being written: it appears at its place when [`OutputDir::commit`] is called, and leaves no trace otherwise.
pub struct OutputDir {
    target: PathBuf,
    temporary: TempDir,
    force: bool,
}

impl OutputDir {
    /// Begins a folder that will stand at `target`; an existing one is an error unless `force`.
    pub fn begin(target: &Path, force: bool) -> Result<Self, Error> {
        if target.exists() && !force {
            return Err(Error::OutputExists { path: target.to_owned() });
        }
        let parent = parent_of(target)?;
        let temporary =
            tempfile::Builder::new().prefix(".packer-").tempdir_in(&parent).map_err(|e| Error::io(&parent, e))?;
        Ok(OutputDir { target: target.to_owned(), temporary, force })
    }

    /// Where to write meanwhile.
    pub fn path(&self) -> &Path {
        self.temporary.path()
    }

    /// Writes one file inside, flushed to disk.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.path().join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|e| Error::io(parent, e))?;
        }
        let mut file = File::create(&path).map_err(|e| Error::io(&path, e))?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(|e| Error::io(&path, e))
    }

    /// Moves the folder to its place. With `force` the old folder goes only once the new one is complete.
    pub fn commit(self) -> Result<(), Error> {
        let OutputDir { target, temporary, force } = self;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::Permissions::from_mode(0o755);
            fs::set_permissions(temporary.path(), mode).map_err(|e| Error::io(temporary.path(), e))?;
        }
        let parent = parent_of(&target)?;
        let old = match target.exists() {
            true if !force => return Err(Error::OutputExists { path: target }),
            true => {
                let old = tempfile::Builder::new()
                    .prefix(".packer-old-")
                    .tempdir_in(&parent)
                    .map_err(|e| Error::io(&parent, e))?;
                fs::rename(&target, old.path().join("old")).map_err(|e| Error::io(&target, e))?;
                Some(old)
            }
            false => None,
        };
        if let Err(error) = fs::rename(temporary.path(), &target) {
            if let Some(old) = &old {
                fs::rename(old.path().join("old"), &target).map_err(|e| Error::io(&target, e))?;
            }
            return Err(Error::io(&target, error));
        }
        let _moved_away = temporary.keep();
        sync_folder(&parent)
    }
}

fn write_file_with(path: &Path, bytes: &[u8], secret: bool) -> Result<(), Error> {
    let parent = parent_of(path)?;
    let mut file = NamedTempFile::with_prefix_in(".packer-", &parent).map_err(|e| Error::io(&parent, e))?;
    file.write_all(bytes).map_err(|e| Error::io(path, e))?;
    #[cfg(unix)]
    if !secret {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::Permissions::from_mode(0o644);
        file.as_file().set_permissions(mode).map_err(|e| Error::io(path, e))?;
    }
    #[cfg(not(unix))]
    let _ = secret;
    file.as_file().sync_all().map_err(|e| Error::io(path, e))?;
    file.persist(path).map_err(|e| Error::io(path, e.error))?;
    sync_folder(&parent)
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
mod tests {
    use super::*;

    #[test]
    fn a_dropped_folder_leaves_no_trace() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("out");
        let dir = OutputDir::begin(&target, false).unwrap();
        dir.write("a/b.txt", b"x").unwrap();
        drop(dir);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_existing_folder_is_replaced_only_by_force() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("out");
        for (round, force) in [(0, false), (1, true)] {
            let dir = OutputDir::begin(&target, force).unwrap();
            dir.write("n", &[round]).unwrap();
            dir.commit().unwrap();
        }
        assert!(matches!(OutputDir::begin(&target, false), Err(Error::OutputExists { .. })));
        assert_eq!(fs::read(target.join("n")).unwrap(), [1]);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_secret_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("k");
        write_secret(&path, b"s").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
