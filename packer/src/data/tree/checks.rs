//! Whether folders can be the classes, or the parts of a split.
//!
//! Refused: parts without class folders or with different ones, names in which a part and something
//! else stand together, and parts inside of classes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::super::part::SplitPart;
use super::super::part_name::PartName;
use super::top::{LIST, TopFolder, loose, names, refuse, tops};
use super::walk::MAX_DEPTH;
use crate::Error;

/// Refuses the folders `tops` of `root`, none of which is called a part, if they cannot be the
/// classes.
pub(super) fn classes(root: &Path, tops: &[TopFolder]) -> Result<(), Error> {
    let mut within: BTreeMap<SplitPart, &TopFolder> = BTreeMap::new();
    for top in tops {
        if let PartName::Within(part) = top.says {
            within.entry(part).or_insert(top);
        }
    }
    if let [(_, one), (_, other), ..] = &within.iter().collect::<Vec<_>>()[..] {
        let what = format!(
            "{} and {} look like parts of a split, and what else their names say is unclear; name \
             the parts train and test with the class folders inside, or {LIST}",
            one.name, other.name
        );
        return Err(refuse(root, what));
    }
    let inside = tops.iter().map(|top| names(&top.path)).collect::<Result<Vec<_>, Error>>()?;
    for (top, own) in tops.iter().zip(&inside) {
        let shared =
            |(_, other): &(&TopFolder, &BTreeSet<String>)| own.intersection(other).count() > 1;
        let others = tops.iter().zip(&inside).filter(|(other, _)| other.name != top.name);
        if let (PartName::Within(_), Some((other, _))) = (top.says, others.into_iter().find(shared))
        {
            let what = format!(
                "{} looks like a part of a split, for {} has the same folders inside; name the \
                 parts train and test, or {LIST}",
                top.name, other.name
            );
            return Err(refuse(root, what));
        }
        if let Some(part) = own.iter().find(|name| matches!(PartName::of(name), PartName::Part(_)))
        {
            let what = format!(
                "{0}/{part} looks like a part of a split inside of a class; put the split above \
                 the classes ({part}/{0}), or {LIST}",
                top.name
            );
            return Err(refuse(root, what));
        }
    }
    Ok(())
}

/// The folder at or below `folder` that holds the class folders of `part`.
pub(super) fn class_folder(part: SplitPart, mut folder: PathBuf) -> Result<PathBuf, Error> {
    for _ in 0..MAX_DEPTH {
        let (tops, loose) = (tops(&folder)?, loose(&folder)?);
        if let ([only], 0) = (&tops[..], loose)
            && (only.part() == Some(part) || PartName::is_filler(&only.name))
        {
            folder = only.path.clone();
            continue;
        }
        let what = match (tops.iter().find(|top| top.is_part()), tops.is_empty()) {
            (Some(inner), _) => format!(
                "{} looks like a part of a split inside of another; unnest them",
                inner.name
            ),
            (None, true) => "it holds images and no folder for each class".into(),
            (None, false) if loose > 0 => {
                format!("{loose} images lie beside the class folders, of no class")
            }
            (None, false) => return Ok(folder),
        };
        return Err(refuse(
            &folder,
            format!(
                "this is the {} part, but {what}; sort the images into folders, or {LIST}",
                part.name()
            ),
        ));
    }
    Err(refuse(&folder, format!("folders are nested deeper than {MAX_DEPTH}")))
}

/// Refuses parts that do not have the same classes.
pub(super) fn alike(root: &Path, folders: &BTreeMap<SplitPart, PathBuf>) -> Result<(), Error> {
    let mut first: Option<(SplitPart, BTreeSet<String>)> = None;
    for (&part, folder) in folders {
        let own = names(folder)?;
        let Some((other, classes)) = &first else {
            first = Some((part, own));
            continue;
        };
        if let Some(class) = classes.symmetric_difference(&own).next() {
            let (with, without) = if own.contains(class) { (part, *other) } else { (*other, part) };
            let what = format!(
                "class {class} is in the {} part and not in the {} part; give both the same class \
                 folders, or {LIST}",
                with.name(),
                without.name()
            );
            return Err(refuse(root, what));
        }
    }
    Ok(())
}
