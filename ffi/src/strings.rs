//! Names as C strings that are lent out until their owner is closed.

use std::collections::HashMap;
use std::ffi::{CString, c_char};
use std::sync::{Mutex, PoisonError};

/// Each text once, at a place that does not change.
#[derive(Default)]
pub struct Strings(Mutex<HashMap<String, CString>>);

impl Strings {
    /// `text`, until these strings go. A NUL, which no name has, ends it.
    pub fn lend(&self, text: &str) -> *const c_char {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = known.entry(text.to_owned()).or_insert_with(|| owned(text));
        kept.as_ptr()
    }
}

/// `text` as a C string; a NUL ends it.
pub fn owned(text: &str) -> CString {
    CString::new(text.split('\0').next().unwrap_or_default()).unwrap_or_default()
}
