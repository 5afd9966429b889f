//! From C pointers and paths to references and bytes. NULL, text encoding and the length of files
//! are checked here. Lengths in memory are the caller's promise.

use std::ffi::{CStr, c_char};
use std::path::Path;

use medforge_runtime::file;

use crate::last_error::Failure;
use crate::status::Status;

/// The text at `pointer`.
///
/// # Safety
/// `pointer` is NULL or points to a NUL-terminated string that outlives `'a`.
pub unsafe fn text<'a>(pointer: *const c_char, name: &str) -> Result<&'a str, Failure> {
    if pointer.is_null() {
        return Err(null(name));
    }
    // SAFETY: not NULL, and the caller promises a terminated string.
    let text = unsafe { CStr::from_ptr(pointer) };
    text.to_str().map_err(|_| Failure::new(Status::StringNotUtf8, format!("{name} is not UTF-8")))
}

/// The text at `pointer`, or none where it is NULL.
///
/// # Safety
/// As for [`text`].
pub unsafe fn optional<'a>(pointer: *const c_char, name: &str) -> Result<Option<&'a str>, Failure> {
    // SAFETY: the caller's promise.
    if pointer.is_null() { Ok(None) } else { unsafe { text(pointer, name) }.map(Some) }
}

/// The object at `pointer`.
///
/// # Safety
/// `pointer` is NULL or came from this library and is still open.
pub unsafe fn object<'a, T>(pointer: *const T, name: &str) -> Result<&'a T, Failure> {
    // SAFETY: the caller's promise above.
    unsafe { pointer.as_ref() }.ok_or_else(|| null(name))
}

/// Refuses a NULL input of several values; the pointer itself is handed back, so that it may reach
/// all of them.
pub fn input<T>(pointer: *const T, name: &str) -> Result<*const T, Failure> {
    if pointer.is_null() { Err(null(name)) } else { Ok(pointer) }
}

/// Refuses a NULL output.
pub fn output<T>(pointer: *mut T, name: &str) -> Result<*mut T, Failure> {
    if pointer.is_null() { Err(null(name)) } else { Ok(pointer) }
}

/// The bytes at `data`.
///
/// # Safety
/// `data` is not NULL and points to `length` readable bytes that outlive `'a`.
pub unsafe fn slice<'a>(data: *const u8, length: usize, name: &str) -> Result<&'a [u8], Failure> {
    match isize::try_from(length) {
        // SAFETY: the caller's promise.
        Ok(_) => Ok(unsafe { std::slice::from_raw_parts(data, length) }),
        Err(_) => {
            Err(Failure::new(Status::OutOfRange, format!("{name} is more than memory can hold")))
        }
    }
}

/// The bytes of the regular file at `path`, of which there are at most `limit`.
pub fn read(path: &str, limit: usize) -> Result<Vec<u8>, Failure> {
    file::read(Path::new(path), limit as u64)
        .map_err(|e| Failure::new(Status::Io, format!("{path}: {e}")))
}

fn null(name: &str) -> Failure {
    Failure::new(Status::NullPointer, format!("{name} is NULL"))
}
