//! Files of the queue, each whole or absent.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;

use serde_json::Value;

use super::{FOLDERS, PartialFile, Queue};
use crate::Result;

impl Queue {
    /// Where a file of an image is.
    pub fn path(&self, folder: &str, uid: &str, ending: &str) -> PathBuf {
        self.root.join(folder).join(format!("{uid}.{ending}"))
    }

    /// Writes a file of an image, whole.
    pub fn write(&self, folder: &str, uid: &str, ending: &str, bytes: &[u8]) -> Result<()> {
        let mut part = PartialFile::new(&self.root.join(folder))?;
        part.write_all(bytes)?;
        part.sync()?;
        part.keep(&self.path(folder, uid, ending))?;
        Ok(self.flush(folder)?)
    }

    /// Writes an image's results, whole: the audit line is in its place after all else is.
    pub fn write_results(
        &self,
        uid: &str,
        report: &[u8],
        capture: &[u8],
        line: &[u8],
    ) -> Result<()> {
        let mut parts = Vec::new();
        for (ending, bytes) in [("sr.dcm", report), ("sc.dcm", capture), ("json", line)] {
            let mut part = PartialFile::new(&self.root.join("results"))?;
            part.write_all(bytes)?;
            part.sync()?;
            parts.push((part, self.path("results", uid, ending)));
        }
        let last = parts.pop();
        parts.into_iter().try_for_each(|(part, place)| part.keep(&place))?;
        self.flush("results")?;
        last.map_or(Ok(()), |(part, place)| part.keep(&place))?;
        Ok(self.flush("results")?)
    }

    /// Marks an image as sent: its results' last file becomes the audit line.
    pub fn finish(&self, uid: &str) -> Result<()> {
        fs::rename(self.path("results", uid, "json"), self.path("done", uid, "json"))?;
        self.flush("done")?;
        self.clean(uid)
    }

    /// Removes what a finished image leaves.
    pub fn clean(&self, uid: &str) -> Result<()> {
        for (folder, ending) in [("results", "sr.dcm"), ("results", "sc.dcm"), ("accepted", "dcm")]
        {
            let path = self.path(folder, uid, ending);
            if path.exists() {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Writes the state for whoever looks.
    pub fn write_status(&self, text: &str) -> Result<()> {
        let mut part = PartialFile::new(&self.root)?;
        part.write_all(text.as_bytes())?;
        part.flush()?;
        Ok(part.keep(&self.root.join("status.json"))?)
    }

    /// Whether all results of an image are here.
    pub fn has_results(&self, uid: &str) -> bool {
        ["json", "sr.dcm", "sc.dcm"].iter().all(|ending| self.path("results", uid, ending).exists())
    }

    /// The line about an image in this folder, if there is one.
    ///
    /// # Errors
    /// It cannot be read, or is no line ([`ErrorKind::InvalidData`]).
    pub(super) fn line(&self, folder: &str, uid: &str) -> io::Result<Option<Value>> {
        let path = self.path(folder, uid, "json");
        let Some(bytes) = there(fs::read(&path))? else { return Ok(None) };
        match serde_json::from_slice::<Value>(&bytes) {
            Ok(line) if line.is_object() => Ok(Some(line)),
            _ => Err(io::Error::new(
                ErrorKind::InvalidData,
                format!("{}: this is no audit line", path.display()),
            )),
        }
    }

    /// Flushes a folder's entries. Its handle is open for good: it needs no free one.
    pub(super) fn flush(&self, folder: &str) -> io::Result<()> {
        FOLDERS
            .iter()
            .zip(&self.folders)
            .filter(|(name, _)| **name == folder)
            .try_for_each(|(_, file)| file.sync_all())
    }
}

/// What was found, or none if it is not there. Every other error stays one.
pub(super) fn there<T>(found: io::Result<T>) -> io::Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
