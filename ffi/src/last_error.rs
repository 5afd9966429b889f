//! The calling thread's error text, and the one place where calls are made safe: errors and panics become codes.

use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

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
    // Unwind safety: handles are read-only after they are made, and a half-made one is dropped by the unwinding.
    let failure = match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(())) => return Status::Ok,
        Ok(Err(failure)) => failure,
        Err(_) => Failure::new(Status::Panic, "a fault in the MedForge library; please report it"),
    };
    log(Level::Error, || format!("{}: {}", failure.status.name(), failure.text));
    let text = CString::new(failure.text.replace('\0', " ")).unwrap_or_default();
    LAST.with(|last| *last.borrow_mut() = text);
    failure.status
}

/// What was wrong in this thread's last call that failed: one sentence, empty if none has. Never NULL; valid until this
/// thread's next failure.
#[unsafe(no_mangle)]
pub extern "C" fn medforge_last_error() -> *const c_char {
    LAST.with(|last| last.borrow().as_ptr())
}
