//! What a source of images (a list, a tree of folders, a file) says, before classes have indices.

use std::path::PathBuf;

use super::attributes::Attribute;
use super::part::{Split, SplitPart};
use crate::Error;

/// The longest label or group, in bytes.
const MAX_NAME: usize = 200;

/// One image as its source names it.
pub(super) struct Entry {
    pub path: PathBuf,
    pub class: String,
    pub group: String,
    pub split: Split,
    pub validation: bool,
    /// Where it stands, for messages: `DIR/splits.csv, row 7` or the file itself.
    pub place: String,
}

/// All that a source holds.
#[derive(Default)]
pub(super) struct Listing {
    pub entries: Vec<Entry>,
    pub attributes: Vec<Attribute>,
    /// Rows and files that cannot be used.
    pub faults: Vec<Error>,
    /// What can be used and deserves a warning.
    pub notes: Vec<String>,
}

impl Entry {
    /// The part of the split that it is in.
    pub fn part(&self) -> SplitPart {
        SplitPart::new(self.split, self.validation)
    }
}

/// Refuses a `text` that cannot be a label, a group or a path, and says why; `name` is what the
/// message calls it.
pub(super) fn check_text(name: &str, text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err(format!("{name} is empty"));
    }
    if name != "path" && text.len() > MAX_NAME {
        return Err(format!("{name} is {} bytes long; the limit is {MAX_NAME}", text.len()));
    }
    if text.chars().any(char::is_control) {
        Err(format!("{name} {text:?} holds a control character"))
    } else {
        Ok(())
    }
}
