//! Taking an image in. What is answered with success is here, or was done. A second picture under a
//! known identifier is refused, and its sender told.

use std::fs::File;
use std::io::{self, ErrorKind, Seek};

use serde_json::Value;

use super::compare::{pixels, same_bytes};
use super::files::there;
use super::{PartialFile, Queue, Stage, accepted_now};
use crate::{Result, locked};

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
enum Earlier {
    File(File),
    /// The digest of the pixels.
    Pixels(String),
}

impl Queue {
    /// Begins the file of an image that comes in.
    pub fn incoming(&self) -> io::Result<PartialFile> {
        PartialFile::new(&self.root.join("accepted"))
    }

    /// Keeps an image, unless its identifier is known. When this returns `New` or `Known` it is
    /// safe.
    ///
    /// # Errors
    /// The disk does not take it, or does not tell what is known. Where only the flush of its
    /// folder failed, the image is worked on all the same.
    pub fn accept(&self, uid: &str, mut part: PartialFile) -> Result<Accepted> {
        part.sync()?;
        let entering = locked(&self.entering);
        let Some(known) = self.known(uid)? else {
            part.keep(&self.path("accepted", uid, "dcm"))?;
            self.put(Stage::Classify, accepted_now(uid));
            drop(entering);
            self.flush("accepted")?;
            return Ok(Accepted::New);
        };
        drop(entering);
        if !self.same(uid, &mut part, known)? {
            return Ok(Accepted::Other);
        }
        // Whoever brought it first may not have come to this yet.
        self.flush("accepted")?;
        Ok(Accepted::Known)
    }

    /// What is here or done under an identifier, opened, so that it may move on meanwhile. The
    /// folders are searched in the order in which files move.
    fn known(&self, uid: &str) -> io::Result<Option<Earlier>> {
        let file = |folder| there(File::open(self.path(folder, uid, "dcm")));
        if let Some(file) = file("accepted")? {
            return Ok(Some(Earlier::File(file)));
        }
        if let Some(line) = self.line("done", uid)? {
            let digest = line["pixels_sha256"].as_str();
            let what = || {
                io::Error::new(ErrorKind::InvalidData, format!("done/{uid}.json names no pixels"))
            };
            return Ok(Some(Earlier::Pixels(digest.ok_or_else(what)?.to_owned())));
        }
        Ok(file("failed")?.map(Earlier::File))
    }

    /// Whether the file holds the picture that is known: to the byte, or in its stored pixels.
    fn same(&self, uid: &str, part: &mut PartialFile, known: Earlier) -> io::Result<bool> {
        let (known, _one) = match known {
            Earlier::Pixels(digest) => (Some(digest), locked(&self.comparing)),
            Earlier::File(mut old) => {
                if same_bytes(part.whole()?, &mut old)? {
                    return Ok(true);
                }
                let one = locked(&self.comparing);
                let digest = match self.digest(uid) {
                    Some(digest) => Some(digest),
                    None => {
                        old.rewind()?;
                        pixels(&mut old)?
                    }
                };
                (digest, one)
            }
        };
        match known {
            Some(known) => Ok(pixels(part.whole()?)? == Some(known)),
            None => Ok(false),
        }
    }

    /// The digest of a known picture's pixels, where it was worked out already.
    fn digest(&self, uid: &str) -> Option<String> {
        let line = |folder| self.line(folder, uid).ok().flatten();
        let digest = |line: Value| line["pixels_sha256"].as_str().map(str::to_owned);
        ["results", "failed"].into_iter().filter_map(line).find_map(digest)
    }
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
    use std::io::Write;

    use super::super::compare::PIECE;
    use super::*;

    /// Flushing fails on what is neither a folder nor a file.
    #[cfg(target_os = "linux")]
    #[test]
    fn what_was_kept_is_worked_on_even_if_its_folder_cannot_be_flushed() {
        let place = tempfile::tempdir().unwrap();
        let mut queue = Queue::open(place.path()).unwrap();
        let whole = std::mem::replace(&mut queue.folders[0], File::open("/dev/null").unwrap());
        let image = |queue: &Queue| {
            let mut part = queue.incoming().unwrap();
            part.write_all(b"an image").unwrap();
            queue.accept("1.2.3", part)
        };
        assert!(image(&queue).is_err() && image(&queue).is_err(), "nothing is promised");
        assert_eq!(queue.lengths().0.waiting, 1);
        queue.folders[0] = whole;
        assert_eq!((image(&queue).unwrap(), queue.lengths().0.waiting), (Accepted::Known, 1));
    }

    #[test]
    fn the_same_bytes_are_known_while_pixels_of_others_are_compared() {
        let place = tempfile::tempdir().unwrap();
        let queue = Queue::open(place.path()).unwrap();
        let accept = |bytes: &[u8]| {
            let mut part = queue.incoming().unwrap();
            part.write_all(bytes).unwrap();
            queue.accept("1.2.3", part).unwrap()
        };
        let long = vec![7; 3 * PIECE + 1];
        assert_eq!(accept(&long), Accepted::New);
        let comparing = locked(&queue.comparing);
        let (said, heard) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| said.send(accept(&long)));
            let known = heard.recv_timeout(std::time::Duration::from_secs(60));
            drop(comparing);
            assert_eq!(known, Ok(Accepted::Known));
        });
        let mut other = long.clone();
        other[2 * PIECE] = 8;
        assert_eq!((accept(&other), accept(&long[1..])), (Accepted::Other, Accepted::Other));
    }

    #[test]
    fn what_cannot_be_told_is_neither_known_nor_new() {
        let place = tempfile::tempdir().unwrap();
        let queue = Queue::open(place.path()).unwrap();
        for bad in ["", "[]", "{}"] {
            queue.write("done", "1.2.3", "json", bad.as_bytes()).unwrap();
            assert!(queue.accept("1.2.3", queue.incoming().unwrap()).is_err(), "{bad:?}");
        }
        std::fs::remove_file(queue.path("done", "1.2.3", "json")).unwrap();
        std::fs::create_dir(queue.path("done", "1.2.3", "json")).unwrap();
        assert!(queue.accept("1.2.3", queue.incoming().unwrap()).is_err());
        assert_eq!(queue.lengths().0.waiting, 0);
        // An image whose file was taken away while it came in.
        let part = queue.incoming().unwrap();
        for entry in std::fs::read_dir(place.path().join("accepted")).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
        assert!(queue.accept("1.2.4", part).is_err());
    }

    #[test]
    fn identifiers_that_break_the_standards_rules_are_none() {
        for good in ["1", "1.2.840.10008.1.1", "2.25.0", "0.1", &"1".repeat(64)] {
            assert!(valid(good), "{good}");
        }
        let long = format!("1.{}", "2".repeat(63));
        for bad in [
            "", ".", "1.", ".1", "1..2", "1.02", "00", "1.2a", "../1", "1/2", "1 ", "1.-2", "１",
            &long,
        ] {
            assert!(!valid(bad), "{bad:?}");
        }
    }
}
