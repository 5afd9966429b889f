//! The calling thread's error text, and the one place where calls are made safe: errors and panics
//! become codes.

use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use medforge_runtime::words::sentence;

use crate::log::{Level, log};
use crate::status::Status;

thread_local! {
    static LAST: RefCell<CString> = RefCell::new(CString::default());
}

/// A code and a sentence.
pub struct Failure {
    pub status: Status,
    pub text: String,
}

impl Failure {
    pub fn new(status: Status, text: impl Into<String>) -> Self {
        Failure { status, text: text.into() }
    }
}

impl From<medforge_runtime::Error> for Failure {
    fn from(error: medforge_runtime::Error) -> Self {
        Failure::new(Status::from(&error), error.to_string())
    }
}

/// Runs `call`; a failure or a panic is kept as the thread's error text and returned as its code.
pub fn guard(call: impl FnOnce() -> Result<(), Failure>) -> Status {
    // Unwind safety: handles are read-only after they are made, and a half-made one is dropped by
    // the unwinding.
    let failure = match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(())) => return Status::Ok,
        Ok(Err(failure)) => failure,
        Err(_) => Failure::new(Status::Panic, "a fault in the MedForge library; please report it"),
    };
    let text = sentence(&failure.text);
    // In a child of fork() the log's lock may be held by a thread that is not there.
    if failure.status != Status::OtherProcess {
        log(Level::Error, || format!("{}: {text}", failure.status.name()));
    }
    let text = CString::new(text).unwrap_or_default();
    LAST.with(|last| *last.borrow_mut() = text);
    failure.status
}

/// What was wrong in this thread's last call that failed: one sentence, empty if none has. Never
/// NULL; valid until this thread's next failure.
#[unsafe(no_mangle)]
pub extern "C" fn medforge_last_error() -> *const c_char {
    LAST.with(|last| last.borrow().as_ptr())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_code_with_a_sentence_and_the_next_call_works() {
        let text = || {
            // SAFETY: never NULL, and valid until this thread's next failure.
            unsafe { std::ffi::CStr::from_ptr(medforge_last_error()) }.to_str().map(str::to_owned)
        };
        assert_eq!(guard(|| panic!("on purpose")), Status::Panic);
        assert!(text().is_ok_and(|text| text.contains("please report it")));
        assert_eq!(guard(|| Ok(())), Status::Ok);
        assert_eq!(guard(|| Err(Failure::new(Status::Io, "a\0b"))), Status::Io);
        assert_eq!(text().as_deref(), Ok(r"a\u{0}b"));
        assert_eq!(guard(|| Err(Failure::new(Status::Io, "\u{202e}n".repeat(5000)))), Status::Io);
        assert!(text().is_ok_and(|text| text.len() < 1100 && text.is_ascii()));
    }
}
