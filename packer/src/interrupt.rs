//! Ctrl-C: a flag that long loops check, so that they stop between two steps and leave nothing
//! half-written.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::Error;

static STOP: AtomicBool = AtomicBool::new(false);

/// Installs the handler for Ctrl-C and the termination signals. A second signal ends the process at
/// once.
#[cfg(feature = "cli")]
pub fn install() {
    let installed = ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
    });
    if let Err(error) = installed {
        log::warn!("Ctrl-C cannot be caught: {error}");
    }
}

/// An error once a signal has arrived. Call it between two steps of long work.
pub fn check() -> Result<(), Error> {
    if STOP.load(Ordering::SeqCst) {
        Err(Error::Interrupted { hint: String::new() })
    } else {
        Ok(())
    }
}
