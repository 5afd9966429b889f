//! The process that a classifier belongs to. A child of `fork()` has the memory of its parent and
//! none of its threads: a lock that one of them held stays shut there, and work given to a pool
//! waits for ever.

use crate::Error;

/// The process that loaded a classifier.
pub(super) struct Process(u32);

impl Process {
    pub(super) fn this() -> Self {
        Process(std::process::id())
    }

    /// # Errors
    /// [`Error::OtherProcess`] in any other process.
    pub(super) fn check(&self) -> Result<(), Error> {
        match self.0 == std::process::id() {
            true => Ok(()),
            false => Err(Error::OtherProcess { opened: self.0 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_process_is_told_to_open_its_own() {
        assert!(Process::this().check().is_ok());
        let error = Process(u32::MAX).check().unwrap_err();
        assert!(error.to_string().contains("fork()"), "{error}");
    }
}
