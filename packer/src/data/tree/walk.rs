//! Files and folders of a tree.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::picture;
use crate::Error;

/// The deepest that folders may be nested.
pub(super) const MAX_DEPTH: usize = 8;
/// What other programs put into archives.
const NOT_DATA: [&str; 2] = ["__MACOSX", "DICOMDIR"];

/// Whether an image lies somewhere below `folder`.
pub(super) fn holds_images(folder: &Path, depth: usize) -> Result<bool, Error> {
    if depth > MAX_DEPTH {
        return Ok(false);
    }
    for path in sorted(folder)? {
        if if path.is_dir() { holds_images(&path, depth + 1)? } else { is_image(&path) } {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a file is read as an image: by its name or, where that does not tell, by its first bytes
/// (DICOM).
pub(super) fn is_image(path: &Path) -> bool {
    picture::is_named(path, &picture::ENDINGS) || picture::begins_as_dicom(path)
}

/// The files and folders in `folder`, sorted by name, without hidden ones.
pub(super) fn sorted(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(|e| Error::io(folder, e))? {
        let entry = entry.map_err(|e| Error::io(folder, e))?;
        let name = entry.file_name();
        if !name.as_encoded_bytes().starts_with(b".")
            && !NOT_DATA.iter().any(|other| name == *other)
        {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// The name of a file or folder as text.
pub(super) fn name_of(path: &Path) -> Result<String, Error> {
    text_of(path, Path::new(path.file_name().unwrap_or_default()))
}

/// A relative path as text with `/` between its parts.
pub(super) fn text_of(file: &Path, relative: &Path) -> Result<String, Error> {
    let parts: Option<Vec<&str>> = relative.iter().map(|p| p.to_str()).collect();
    let what = "the name is not UTF-8".to_owned();
    parts.map(|p| p.join("/")).ok_or(Error::DataFolder { path: file.to_owned(), what })
}
