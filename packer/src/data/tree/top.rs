//! The folders at the top of a tree, with what their names say.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::super::part::SplitPart;
use super::super::part_name::PartName;
use super::walk::{holds_images, is_image, name_of, sorted};
use crate::Error;

/// How to get around what a folder's name says.
pub(super) const LIST: &str = "say in a splits.csv (path,label,group,split) what each image is";

/// A folder with images somewhere below it.
pub(super) struct TopFolder {
    pub path: PathBuf,
    pub name: String,
    pub says: PartName,
}

impl TopFolder {
    /// The part that its name may stand for.
    pub fn part(&self) -> Option<SplitPart> {
        self.says.part()
    }

    /// Whether its name is that of a part, whatever is beside it.
    pub fn is_part(&self) -> bool {
        matches!(self.says, PartName::Part(_))
    }
}

/// The folders of `root` that hold images.
pub(super) fn tops(root: &Path) -> Result<Vec<TopFolder>, Error> {
    let mut tops = Vec::new();
    for path in sorted(root)? {
        if path.is_dir() && holds_images(&path, 0)? {
            let name = name_of(&path)?;
            tops.push(TopFolder { says: PartName::of(&name), path, name });
        }
    }
    Ok(tops)
}

/// The names of the folders of `root` that hold images.
pub(super) fn names(root: &Path) -> Result<BTreeSet<String>, Error> {
    Ok(tops(root)?.into_iter().map(|top| top.name).collect())
}

/// The number of images in `root` itself.
pub(super) fn loose(root: &Path) -> Result<usize, Error> {
    Ok(sorted(root)?.iter().filter(|path| !path.is_dir() && is_image(path)).count())
}

pub(super) fn refuse(path: &Path, what: String) -> Error {
    Error::DataFolder { path: path.to_owned(), what }
}
