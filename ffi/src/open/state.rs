//! The state file: one thread of one process at a time, and never half written.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;

use medforge_runtime::bundle::State;

use crate::last_error::Failure;
use crate::pointer::read;
use crate::status::Status;

/// The longest state file that is read, in bytes.
const LONGEST_STATE: usize = 4 << 20;

/// What the device remembers. Only a file that is not there means a device that has accepted
/// nothing; one that cannot be read does not.
pub(super) fn remembered(path: &str) -> Result<State, Failure> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(State::default()),
        _ => Ok(State::from_bytes(&read(path, LONGEST_STATE)?)?),
    }
}

/// Writes beside the file, flushes, and renames: whatever happens, the old state or the new one is
/// there.
pub(super) fn replace(path: &str, bytes: &[u8]) -> std::io::Result<()> {
    let beside = format!("{path}.new");
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    match Path::new(path).parent() {
        // Folders are flushed where the system can: not on Windows.
        Some(folder) if cfg!(unix) && folder.as_os_str().is_empty() => File::open(".")?.sync_all(),
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

/// Whoever has it may read a state file and write what follows from it: one thread of one process.
/// The system keeps the lock, on a file beside it. So no child of `fork()` waits for a thread that
/// it does not have.
pub(super) struct Alone(Option<File>);

impl Alone {
    /// Waits for whoever has it now.
    pub(super) fn with(path: &str) -> Result<Self, Failure> {
        let beside = format!("{path}.lock");
        let failed =
            |error| Failure::new(Status::Io, format!("{beside}: it cannot be locked: {error}"));
        match File::options().create(true).truncate(false).write(true).open(&beside) {
            // Where it cannot be made, no state can be written either.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem
                ) =>
            {
                Ok(Alone(None))
            }
            Err(error) => Err(failed(error)),
            Ok(file) => file.lock().map(|()| Alone(Some(file))).map_err(failed),
        }
    }
}

impl Drop for Alone {
    /// In words: a child of `fork()` has the file open too, and closing it here would not be
    /// enough.
    fn drop(&mut self) {
        if let Some(file) = &self.0 {
            let _ = file.unlock();
        }
    }
}
