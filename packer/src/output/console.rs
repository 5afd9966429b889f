//! Standard output and standard error. Results must arrive; other messages must not stop the work.

use std::io::{ErrorKind, Write};

use crate::Error;

/// Prints to standard output. A closed pipe is no error; a full disk is.
pub fn print(text: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    arrived(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// The result of writing to standard output.
pub fn arrived(written: std::io::Result<()>) -> Result<(), Error> {
    match written {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::io("standard output", error))
        }
        _ => Ok(()),
    }
}

/// Writes a line to standard error. Failures are ignored: a full log must not end a training.
pub fn say(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}
