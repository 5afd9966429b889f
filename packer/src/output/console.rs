//! Standard output and standard error: results must arrive, and what is said beside them must not
//! stop the work.

use std::io::{ErrorKind, Write};

use crate::Error;

/// Prints to standard output. A reader that went away is no error; a full disk is.
pub fn print(text: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    arrived(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// What became of something written to standard output.
pub fn arrived(written: std::io::Result<()>) -> Result<(), Error> {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::io("standard output", error))
        }
        _ => Ok(()),
    }
}

/// Says a line on standard error, if somebody is there to hear it: a log that is full ends no
/// training.
pub fn say(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}
