//! What happens, told to a function of the caller's: nothing is written anywhere unless one was
//! given.

use std::ffi::{c_char, c_void};
use std::sync::{PoisonError, RwLock};

use crate::strings::owned;

/// How much a line of the log matters.
#[repr(u32)]
#[derive(Clone, Copy)]
pub enum Level {
    /// A call that failed; the line is its sentence.
    Error = 1,
    /// A bundle that was opened, added, replaced or unloaded, a default that was changed, and each
    /// classification as JSON.
    Info = 3,
}

/// A function that is told a level (medforge_level), a line that lives until it returns, and what
/// medforge_set_log was given.
pub type LogCallback =
    Option<unsafe extern "C" fn(level: u32, line: *const c_char, user: *mut c_void)>;

/// The function and what it is given.
struct Log(LogCallback, *mut c_void);

// SAFETY: the pointer is handed back to the caller and never looked at; the caller promises that
// any thread may.
unsafe impl Send for Log {}
// SAFETY: as above.
unsafe impl Sync for Log {}

static LOG: RwLock<Log> = RwLock::new(Log(None, std::ptr::null_mut()));

/// Tells `callback` from now on what happens, in all threads, on the thread where it happens,
/// before that call returns; NULL: nobody. Once this returns, the function before is not called any
/// more. The callback must not call this library.
///
/// # Safety
/// `callback` may be called from any thread with `user`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn medforge_set_log(callback: LogCallback, user: *mut c_void) {
    *LOG.write().unwrap_or_else(PoisonError::into_inner) = Log(callback, user);
}

/// Tells the caller's function, if there is one.
pub fn log(level: Level, line: impl FnOnce() -> String) {
    let log = LOG.read().unwrap_or_else(PoisonError::into_inner);
    if let Log(Some(callback), user) = &*log {
        // SAFETY: what medforge_set_log was promised; the line outlives the call.
        unsafe { callback(level as u32, owned(&line()).as_ptr(), *user) };
    }
}
