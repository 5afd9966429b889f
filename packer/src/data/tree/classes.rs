//! The class folders of a tree and their images.

use std::path::{Path, PathBuf};

use super::super::entry::check_text;
use super::walk::{MAX_DEPTH, is_image, name_of, sorted};
use crate::Error;

/// The class folders of `root`, sorted by name, each with its images, sorted by path. What is left
/// out is told in `notes`.
pub(super) fn of(
    root: &Path,
    notes: &mut Vec<String>,
) -> Result<Vec<(String, Vec<PathBuf>)>, Error> {
    let (mut classes, mut beside) = (Vec::new(), 0);
    for path in sorted(root)? {
        if !path.is_dir() {
            beside += usize::from(is_image(&path));
            continue;
        }
        let class = name_of(&path)?;
        check_text("label", &class)
            .map_err(|what| Error::DataFolder { path: path.clone(), what })?;
        let (mut files, mut ignored) = (Vec::new(), 0);
        images(&path, 0, &mut files, &mut ignored)?;
        if ignored > 0 {
            notes.push(format!(
                "{}: {ignored} files that are not png, jpg, tif or DICOM are ignored",
                path.display()
            ));
        }
        if files.is_empty() {
            return Err(Error::EmptyClass { path: root.to_owned(), class });
        }
        classes.push((class, files));
    }
    if classes.is_empty() {
        let what = "there is neither a splits.csv, nor a labels.csv, nor a folder for each class"
            .to_owned();
        return Err(Error::DataFolder { path: root.to_owned(), what });
    }
    if beside > 0 {
        notes.push(format!(
            "{}: {beside} images beside the class folders are of no class and are ignored",
            root.display()
        ));
    }
    Ok(classes)
}

/// Adds the images of `folder` and of the folders in it to `files`, and counts other files.
fn images(
    folder: &Path,
    depth: usize,
    files: &mut Vec<PathBuf>,
    ignored: &mut usize,
) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        let what = format!("folders are nested deeper than {MAX_DEPTH}");
        return Err(Error::DataFolder { path: folder.to_owned(), what });
    }
    for path in sorted(folder)? {
        if path.is_dir() {
            images(&path, depth + 1, files, ignored)?;
            continue;
        }
        if is_image(&path) { files.push(path) } else { *ignored += 1 }
    }
    Ok(())
}
