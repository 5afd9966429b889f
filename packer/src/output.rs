//! Outputs that are whole or absent: written beside their place under a temporary name, flushed to disk, then renamed.
//! Also standard output, so that no pipe or full disk ends in a panic.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempDir};

use crate::Error;

/// Writes `bytes` to `path`, replacing what was there only once every byte is on disk.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let (file, parent) = staged(path, bytes, 0o666)?;
    file.persist(path).map_err(|e| Error::io(path, e.error))?;
    sync_folder(&parent)
}

/// Writes a new file for its owner alone (mode 0600 on Unix); one that is there already is never replaced.
pub fn write_secret(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let (file, parent) = staged(path, bytes, 0o600)?;
    file.persist_noclobber(path).map_err(|e| Error::io(path, e.error))?;
    sync_folder(&parent)
}

/// Prints to standard output. A reader that went away is no error; a full disk is.
pub fn print(text: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::io("standard output", error)),
        _ => Ok(()),
    }
}

/// The time now: RFC 3339, UTC, whole seconds.
pub fn now() -> String {
    jiff::Timestamp::from_second(jiff::Timestamp::now().as_second()).unwrap_or_default().to_string()
}

/// A folder being written: it appears at its place when [`OutputDir::commit`] is called, and leaves no trace otherwise.
pub struct OutputDir {
    target: PathBuf,
    temporary: TempDir,
    replaces: Replaces,
}

/// What a folder may take the place of.
#[derive(Clone, Copy, PartialEq)]
enum Replaces {
    Nothing,
    Empty,
    Older,
}

impl OutputDir {
    /// Begins a folder that will stand at `target`. An existing one is an error; with `force` only if it does not hold
    /// the file `marker`, by which packer knows a folder of its own.
    pub fn begin(target: &Path, force: bool, marker: &'static str) -> Result<Self, Error> {
        if target.exists() && !force {
            return Err(Error::OutputExists { path: target.to_owned() });
        }
        if target.exists() && !target.join(marker).exists() {
            return Err(Error::NotReplaced { path: target.to_owned(), marker });
        }
        Self::at(target, if force { Replaces::Older } else { Replaces::Nothing })
    }

    /// Begins a folder that will stand at `target`, where there is none or an empty one.
    pub fn in_place_of_nothing(target: &Path) -> Result<Self, Error> {
        match fs::read_dir(target).map(|mut inside| inside.next().is_some()) {
            Ok(true) => Err(Error::NotEmpty { path: target.to_owned() }),
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io(target, error)),
            _ => Self::at(target, Replaces::Empty),
        }
    }

    fn at(target: &Path, replaces: Replaces) -> Result<Self, Error> {
        let parent = parent_of(target)?;
        let temporary = temporary(0o777).tempdir_in(&parent).map_err(|e| Error::io(&parent, e))?;
        Ok(OutputDir { target: target.to_owned(), temporary, replaces })
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
        let OutputDir { target, temporary, replaces } = self;
        let parent = parent_of(&target)?;
        if target.exists() && replaces == Replaces::Nothing {
            return Err(Error::OutputExists { path: target });
        }
        if target.exists() && replaces == Replaces::Empty {
            // Refused by the system where something has come into it.
            fs::remove_dir(&target).map_err(|e| Error::io(&target, e))?;
        }
        let old = match target.exists() {
            true => {
                let aside = unused_name(&parent)?;
                fs::rename(&target, &aside).map_err(|e| Error::io(&target, e))?;
                Some(aside)
            }
            false => None,
        };
        if let Err(error) = fs::rename(temporary.path(), &target) {
            if let Some(aside) = old {
                fs::rename(&aside, &target).map_err(|e| Error::io(&aside, e))?;
            }
            return Err(Error::io(&target, error));
        }
        let _moved_away = temporary.keep();
        sync_folder(&parent)?;
        match old {
            Some(aside) => fs::remove_dir_all(&aside).map_err(|e| Error::io(&aside, e)),
            None => Ok(()),
        }
    }
}

/// Flushes `bytes` to a temporary file beside `path`; who may read it is `mode`, less what the umask takes.
fn staged(path: &Path, bytes: &[u8], mode: u32) -> Result<(NamedTempFile, PathBuf), Error> {
    let parent = parent_of(path)?;
    let mut file = temporary(mode).tempfile_in(&parent).map_err(|e| Error::io(&parent, e))?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(|e| Error::io(path, e))?;
    Ok((file, parent))
}

/// Names for what is not finished, readable by whom `mode` and the umask let.
fn temporary(mode: u32) -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".packer-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(mode));
    }
    #[cfg(not(unix))]
    let _ = mode;
    builder
}

/// A name in `parent` that nothing has.
fn unused_name(parent: &Path) -> Result<PathBuf, Error> {
    let place = temporary(0o777).tempdir_in(parent).map_err(|e| Error::io(parent, e))?;
    let path = place.path().to_owned();
    place.close().map_err(|e| Error::io(&path, e))?;
    Ok(path)
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
        let dir = OutputDir::begin(&target, false, "n").unwrap();
        dir.write("a/b.txt", b"x").unwrap();
        drop(dir);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_existing_folder_is_replaced_only_by_force() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("out");
        for (round, force) in [(0, false), (1, true)] {
            let dir = OutputDir::begin(&target, force, "n").unwrap();
            dir.write("n", &[round]).unwrap();
            dir.commit().unwrap();
        }
        assert!(matches!(OutputDir::begin(&target, false, "n"), Err(Error::OutputExists { .. })));
        assert_eq!(fs::read(target.join("n")).unwrap(), [1]);
        assert!(matches!(OutputDir::begin(&target, true, "other"), Err(Error::NotReplaced { .. })));
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_empty_folder_is_filled_and_a_full_one_refused() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("out");
        fs::create_dir(&target).unwrap();
        let dir = OutputDir::in_place_of_nothing(&target).unwrap();
        dir.write("n", b"x").unwrap();
        dir.commit().unwrap();
        assert_eq!(fs::read(target.join("n")).unwrap(), b"x");
        assert!(matches!(OutputDir::in_place_of_nothing(&target), Err(Error::NotEmpty { .. })));
        assert!(matches!(OutputDir::in_place_of_nothing(&target.join("n")), Err(Error::Io { .. })));
        // What comes into it meanwhile stays.
        let late = place.path().join("late");
        let dir = OutputDir::in_place_of_nothing(&late).unwrap();
        fs::create_dir(&late).unwrap();
        fs::write(late.join("theirs"), b"y").unwrap();
        assert!(dir.commit().is_err());
        assert_eq!(fs::read_dir(&late).unwrap().count(), 1);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2);
    }

    #[cfg(unix)]
    #[test]
    fn a_secret_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("k");
        write_secret(&path, b"s").unwrap();
        assert!(write_secret(&path, b"other").is_err() && fs::read(&path).unwrap() == b"s");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
