//! Reads a tree of images without a list: `DIR/CLASS/FILE`, or `DIR/train/CLASS/FILE` and `DIR/test/CLASS/FILE`.
//!
//! Without a list nobody says which images come from one patient: every file is its own group, and a warning says so.
//! Refused: a class folder without images, a class with one image only, links out of the folder, names that are not UTF-8.

use std::fs;
use std::path::{Path, PathBuf};

use super::dataset::{Entry, Split};
use super::divide::{rank, threshold};
use super::splits::{Folder, check_text};
use crate::Error;

/// Folders below a class folder are followed this deep.
const MAX_DEPTH: usize = 8;

/// Every image below `root`, with its class and split.
pub(super) fn read(root: &Path) -> Result<Vec<Entry>, Error> {
    if !root.is_dir() {
        let what = "no such folder".to_owned();
        return Err(Error::DataFolder { path: root.to_owned(), what });
    }
    let mut folder = Folder::open(root)?;
    let given = [Split::Train, Split::Test].map(|s| root.join(s.name()).is_dir());
    let entries = match given {
        [true, true] => {
            let mut entries = Vec::new();
            for other in sorted(root)?.iter().filter(|p| p.is_dir() && !p.ends_with("train") && !p.ends_with("test")) {
                log::warn!("{}: only train and test are read; this folder is ignored", other.display());
            }
            for split in [Split::Train, Split::Test] {
                for (class, files) in classes(&root.join(split.name()))? {
                    for file in files {
                        entries.push(entry(root, &mut folder, &file, &class, split)?);
                    }
                }
            }
            entries
        }
        [false, false] => {
            let mut entries = Vec::new();
            for (class, files) in classes(root)? {
                let splits = split_by_hash(root, &files)?;
                for (file, split) in files.iter().zip(splits) {
                    entries.push(entry(root, &mut folder, file, &class, split)?);
                }
            }
            entries
        }
        [train, _] => {
            let (is, lacks) = if train { ("train", "test") } else { ("test", "train") };
            let what = format!("there is a folder {is} but none named {lacks}");
            return Err(Error::DataFolder { path: root.to_owned(), what });
        }
    };
    log::warn!(
        "{}: there is no splits.csv, so every image counts as its own patient; if patients have several images, results will \
         look better than they are",
        root.display()
    );
    Ok(entries)
}

fn entry(root: &Path, folder: &mut Folder, file: &Path, class: &str, split: Split) -> Result<Entry, Error> {
    let place = file.display().to_string();
    let relative = file.strip_prefix(root).unwrap_or(file);
    let group = text_of(file, relative)?;
    let path = folder.check(relative, &place)?;
    Ok(Entry { path, class: class.to_owned(), group, split, place })
}

/// The class folders of `root`, sorted, each with its images, sorted.
fn classes(root: &Path) -> Result<Vec<(String, Vec<PathBuf>)>, Error> {
    let mut classes = Vec::new();
    for path in sorted(root)? {
        if !path.is_dir() {
            continue;
        }
        let class = text_of(&path, Path::new(path.file_name().unwrap_or_default()))?;
        check_text("label", &class).map_err(|what| Error::DataFolder { path: path.clone(), what })?;
        let (mut files, mut ignored) = (Vec::new(), 0);
        images(&path, 0, &mut files, &mut ignored)?;
        if ignored > 0 {
            log::warn!("{}: {ignored} files that are not png, jpg or jpeg are ignored", path.display());
        }
        if files.is_empty() {
            return Err(Error::EmptyClass { path: root.to_owned(), class });
        }
        classes.push((class, files));
    }
    match classes.is_empty() {
        true => {
            let what = "there is neither a splits.csv, nor a labels.csv, nor a folder for each class".to_owned();
            Err(Error::DataFolder { path: root.to_owned(), what })
        }
        false => Ok(classes),
    }
}

fn images(folder: &Path, depth: usize, files: &mut Vec<PathBuf>, ignored: &mut usize) -> Result<(), Error> {
    if depth > MAX_DEPTH {
        let what = format!("folders are nested deeper than {MAX_DEPTH}");
        return Err(Error::DataFolder { path: folder.to_owned(), what });
    }
    for path in sorted(folder)? {
        if path.is_dir() {
            images(&path, depth + 1, files, ignored)?;
            continue;
        }
        let extension = path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
        match extension.as_deref() {
            Some("png" | "jpg" | "jpeg") => files.push(path),
            _ => *ignored += 1,
        }
    }
    Ok(())
}

/// What is in `folder`, sorted by name, hidden files left out.
fn sorted(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(|e| Error::io(folder, e))? {
        let entry = entry.map_err(|e| Error::io(folder, e))?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// A file is tested on if the SHA-256 of its path (relative, `/` between parts) is in the lowest 30 % of all values: files added
/// later never move the others. A class that gets none on one side gives it its nearest file.
fn split_by_hash(root: &Path, files: &[PathBuf]) -> Result<Vec<Split>, Error> {
    if files.len() < 2 {
        let what =
            "this is the only image of its class; a class needs at least one to train and one to test".to_owned();
        return Err(Error::DataFolder { path: files[0].clone(), what });
    }
    let mut ranks = Vec::with_capacity(files.len());
    for file in files {
        ranks.push(rank(&text_of(file, file.strip_prefix(root).unwrap_or(file))?));
    }
    let threshold = threshold();
    let lowest = ranks.iter().copied().min().unwrap_or(0);
    let highest = ranks.iter().copied().max().unwrap_or(u64::MAX);
    let is_test = |rank: u64| rank != highest && (rank < threshold || rank == lowest);
    Ok(ranks.into_iter().map(|rank| if is_test(rank) { Split::Test } else { Split::Train }).collect())
}

/// A relative path as text with `/` between its parts.
fn text_of(file: &Path, relative: &Path) -> Result<String, Error> {
    let parts: Option<Vec<&str>> = relative.iter().map(|p| p.to_str()).collect();
    let what = "the name is not UTF-8".to_owned();
    parts.map(|p| p.join("/")).ok_or(Error::DataFolder { path: file.to_owned(), what })
}
