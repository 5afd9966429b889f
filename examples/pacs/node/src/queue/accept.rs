//! Taking an image in. Whatever is answered with success is here, or was done: a second picture
//! under an identifier that is known is not passed over in silence.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use medforge_runtime::dicom;

use super::{Part, Queue, Stage, accepted_now, locked};
use crate::Result;

/// What became of an image that came.
#[derive(Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is safe, and in line.
    New,
    /// The same picture was here, or done already.
    Known,
    /// Another picture has this identifier; this one is not kept.
    Other,
}

/// What is known under an identifier.
enum Known {
    File(PathBuf),
    /// The digest of the pixels.
    Pixels(Option<String>),
}

impl Queue {
    /// Begins the file of an image that comes in.
    pub fn incoming(&self) -> io::Result<Part> {
        Part::new(&self.root.join("accepted"))
    }

    /// Keeps an image, unless its identifier is known: when this returns `New` or `Known` it is
    /// safe.
    ///
    /// # Errors
    /// The disk does not take it: nothing is kept.
    pub fn accept(&self, uid: &str, mut part: Part) -> Result<Accepted> {
        part.sync()?;
        loop {
            let entering = locked(&self.entering);
            let Some(known) = self.known(uid) else {
                part.keep(&self.path("accepted", uid, "dcm"))?;
                drop(entering);
                self.flush("accepted")?;
                self.put(Stage::Classify, accepted_now(uid));
                return Ok(Accepted::New);
            };
            drop(entering);
            let _one = locked(&self.comparing);
            match same(part.path(), &known) {
                // It went on to its next folder meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
                Ok(false) => return Ok(Accepted::Other),
                Ok(true) => {
                    // Whoever brought it first may not have come to this yet.
                    self.flush("accepted")?;
                    return Ok(Accepted::Known);
                }
            }
        }
    }

    /// What is here or done under an identifier. Looked for in the order in which files move.
    fn known(&self, uid: &str) -> Option<Known> {
        let file = |folder| Some(self.path(folder, uid, "dcm")).filter(|path| path.exists());
        if let Some(path) = file("accepted") {
            return Some(Known::File(path));
        }
        if let Ok(line) = fs::read(self.path("done", uid, "json")) {
            let line: serde_json::Value = serde_json::from_slice(&line).unwrap_or_default();
            return Some(Known::Pixels(line["pixels_sha256"].as_str().map(str::to_owned)));
        }
        file("failed").map(Known::File)
    }
}

/// Whether the file holds the picture that is known: to the byte, or in its stored pixels.
fn same(path: &Path, known: &Known) -> io::Result<bool> {
    let new = fs::read(path)?;
    let pixels_of_known = match known {
        Known::Pixels(pixels) => pixels.clone(),
        Known::File(path) => {
            let old = fs::read(path)?;
            if new == old {
                return Ok(true);
            }
            pixels(&old)
        }
    };
    Ok(pixels_of_known.is_some_and(|known| pixels(&new) == Some(known)))
}

/// The digest of the stored pixels, of a file that can be read and has one frame.
fn pixels(file: &[u8]) -> Option<String> {
    let read = dicom::read(file, "the image").ok().filter(|read| read.frames() == 1)?;
    read.frame(0).ok()?.stored().sha256_hex().ok()
}

/// Whether `uid` is a unique identifier (PS3.5, 9.1), and so a safe name of a file.
pub fn valid(uid: &str) -> bool {
    let component = |part: &str| {
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        digits && (part == "0" || !part.starts_with('0'))
    };
    uid.len() <= 64 && uid.split('.').all(component)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_that_break_the_standards_rules_are_none() {
        for good in ["1", "1.2.840.10008.1.1", "2.25.0", "0.1", &"1".repeat(64)] {
            assert!(valid(good), "{good}");
        }
        let long = format!("1.{}", "2".repeat(63));
        for bad in ["", ".", "1.", ".1", "1..2", "1.02", "00", "1.2a", "../1", "1/2", "1 ", "1.-2", "１", &long] {
            assert!(!valid(bad), "{bad:?}");
        }
    }
}
