//! What the folders at the top of a tree are: the classes, or the parts of a split with the classes
//! inside.
//!
//! Refused: names of parts beside names of classes, two names of one part, a part alone, and what
//! [`checks`] refuses.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::super::part::SplitPart;
use super::super::part_name::PartName;
use super::checks;
use super::top::{LIST, TopFolder, loose, refuse, tops};
use super::walk::MAX_DEPTH;
use crate::Error;

/// Where the class folders are.
pub enum Layout {
    /// In this folder.
    Classes(PathBuf),
    /// In one folder for each part.
    Parts(BTreeMap<SplitPart, PathBuf>),
}

impl Layout {
    /// Looks at the folders of `root`.
    pub fn of(root: &Path) -> Result<Layout, Error> {
        let mut place = root.to_owned();
        // An archive often has one folder around everything.
        for _ in 0..MAX_DEPTH {
            let found = tops(&place)?;
            if let [only] = &found[..]
                && !only.is_part()
                && loose(&place)? == 0
                && !tops(&only.path)?.is_empty()
            {
                place.clone_from(&only.path);
                continue;
            }
            if place == root || found.iter().any(TopFolder::is_part) {
                return Layout::among(place, found);
            }
            let what = format!(
                "there is one folder of images only; if the classes are the folders in {0}, give \
                 {0}, or {LIST}",
                place.display()
            );
            return Err(refuse(root, what));
        }
        Err(refuse(root, format!("folders are nested deeper than {MAX_DEPTH}")))
    }

    /// What the folders `tops` of `root` are.
    fn among(root: PathBuf, mut tops: Vec<TopFolder>) -> Result<Layout, Error> {
        let short = |top: &TopFolder| matches!(top.says, PartName::Short(_));
        let parts: BTreeSet<SplitPart> = tops.iter().filter_map(TopFolder::part).collect();
        // Two letters mean a part only where every folder is one.
        let all_parts = tops.iter().all(|top| top.part().is_some());
        if tops.iter().any(short) && parts.len() > 1 && all_parts {
            tops.iter_mut()
                .for_each(|top| top.says = top.part().map_or(PartName::None, PartName::Part));
        }
        let (parts, others): (Vec<TopFolder>, Vec<TopFolder>) =
            tops.into_iter().partition(TopFolder::is_part);
        if parts.is_empty() {
            checks::classes(&root, &others)?;
            return Ok(Layout::Classes(root));
        }
        let folders = one_each(&root, parts)?;
        check_complete(&root, &folders, &others)?;
        let mut inside = BTreeMap::new();
        for (part, top) in &folders {
            inside.insert(*part, checks::class_folder(*part, top.path.clone())?);
        }
        checks::alike(&root, &inside)?;
        Ok(Layout::Parts(inside))
    }
}

/// The folders by part. Refuses two of one part.
fn one_each(root: &Path, parts: Vec<TopFolder>) -> Result<BTreeMap<SplitPart, TopFolder>, Error> {
    let mut folders: BTreeMap<SplitPart, TopFolder> = BTreeMap::new();
    for top in parts {
        let Some(part) = top.part() else { continue };
        if let Some(first) = folders.get(&part) {
            let what = format!(
                "{} and {} are both called {}; keep one, or {LIST}",
                first.name,
                top.name,
                part.name()
            );
            return Err(refuse(root, what));
        }
        folders.insert(part, top);
    }
    Ok(folders)
}

/// Refuses parts beside `others` that are none, and parts without training or with nothing else.
fn check_complete(
    root: &Path,
    folders: &BTreeMap<SplitPart, TopFolder>,
    others: &[TopFolder],
) -> Result<(), Error> {
    let names = || folders.values().map(|top| top.name.as_str()).collect::<Vec<_>>().join(", ");
    if let Some(other) = others.first() {
        let look = if folders.len() == 1 { "looks like a part" } else { "look like parts" };
        let what = format!(
            "{0} {look} of a split and {1} does not; if all are classes, {LIST}; if {1} is none, \
             move it away",
            names(),
            other.name
        );
        return Err(refuse(root, what));
    }
    let trained = folders.contains_key(&SplitPart::Train);
    if trained && folders.len() > 1 {
        return Ok(());
    }
    let is = names();
    let lacks = if trained { "test" } else { "train" };
    let only = folders.values().next().map(|top| top.path.display().to_string());
    let what = format!(
        "there is a folder {is} but none named {lacks}; add it, give {} to have its images \
         divided, or {LIST}",
        only.unwrap_or_default()
    );
    Err(refuse(root, what))
}
