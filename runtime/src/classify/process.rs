//! The process that a classifier belongs to. A child of `fork()` has the memory of its parent and
//! none of its threads: a lock that one of them held stays shut there, and work given to a pool
//! waits for ever.
//!
//! A process is known by its number and by how often it was forked from the one that first asked:
//! in a new namespace, or after long, a child may have its parent's number.

use crate::Error;

/// The process that loaded a classifier.
pub(super) struct Process {
    id: u32,
    forks: u32,
}

impl Process {
    pub(super) fn this() -> Self {
        Process { id: std::process::id(), forks: forks::count() }
    }

    /// # Errors
    /// [`Error::OtherProcess`] in any other process.
    pub(super) fn check(&self) -> Result<(), Error> {
        if self.id == std::process::id() && self.forks == forks::count() {
            Ok(())
        } else {
            Err(Error::OtherProcess { opened: self.id })
        }
    }
}

/// How many forks lie between this process and the one that first asked. Unsafe is the call that
/// has the system count them: no safe library does, and the function that it is given adds one to a
/// number, which is allowed after `fork()`.
#[cfg(unix)]
#[allow(unsafe_code)]
mod forks {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

    static COUNT: AtomicU32 = AtomicU32::new(0);
    /// No lock: a child that is forked in the middle would wait for it.
    static ASKED: AtomicBool = AtomicBool::new(false);

    extern "C" fn child() {
        COUNT.fetch_add(1, Relaxed);
    }

    pub fn count() -> u32 {
        if !ASKED.load(Relaxed) && !ASKED.swap(true, Relaxed) {
            // SAFETY: `child` may be called at any time, as said above.
            let failed = unsafe { libc::pthread_atfork(None, None, Some(child)) } != 0;
            ASKED.store(!failed, Relaxed);
        }
        COUNT.load(Relaxed)
    }
}

#[cfg(not(unix))]
mod forks {
    pub fn count() -> u32 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_process_is_told_to_open_its_own() {
        let this = Process::this();
        assert!(this.check().is_ok());
        for other in [Process { id: u32::MAX, ..this }, Process { forks: this.forks + 1, ..this }] {
            let error = other.check().unwrap_err();
            assert!(error.to_string().contains("fork()"), "{error}");
        }
    }

    /// As in a new namespace, where the child may have the number of its parent.
    #[cfg(unix)]
    #[allow(unsafe_code)]
    #[test]
    fn a_child_with_its_parents_number_is_another_process() {
        let parent = Process::this();
        // SAFETY: the child looks at two numbers and ends.
        unsafe {
            let child = libc::fork();
            if child == 0 {
                let same = Process { id: libc::getpid() as u32, ..parent };
                libc::_exit(i32::from(same.check().is_ok()));
            }
            let mut status = -1;
            assert_eq!(libc::waitpid(child, &mut status, 0), child);
            assert_eq!(status, 0);
        }
    }
}
