//! What the folders at the top of a tree are: the classes, or the parts of a split with the classes
//! inside.
//!
//! Refused: names of parts beside names of classes, parts that cannot be told apart, parts without
//! class folders or with different ones, names in which a part and something else stand together,
//! and parts inside of classes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::super::part::{Part, Word};
use super::{MAX_DEPTH, holds_images, is_image, name_of, sorted};
use crate::Error;

/// How to get around what a folder's name says.
const LIST: &str = "say in a splits.csv (path,label,group,split) what each image is";

/// Where the class folders are.
pub enum Layout {
    /// In this folder.
    Classes(PathBuf),
    /// In one folder for each part.
    Parts(BTreeMap<Part, PathBuf>),
}

/// A folder with images somewhere below it.
struct Top {
    path: PathBuf,
    name: String,
    word: Word,
}

impl Layout {
    /// Looks at the folders of `root`.
    pub fn of(root: &Path) -> Result<Layout, Error> {
        let mut place = root.to_owned();
        // Folders around everything, as archives have them.
        for _ in 0..MAX_DEPTH {
            let tops = tops(&place)?;
            if let [only] = &tops[..]
                && !is_part(only)
                && loose(&place)? == 0
                && !self::tops(&only.path)?.is_empty()
            {
                place.clone_from(&only.path);
                continue;
            }
            if place == root || tops.iter().any(is_part) {
                return Layout::among(place, tops);
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

    /// The folders with images of one that wraps nothing.
    fn among(root: PathBuf, mut tops: Vec<Top>) -> Result<Layout, Error> {
        let shorts = tops.iter().filter(|top| matches!(top.word, Word::Short(_)));
        let parts: BTreeSet<Part> = tops.iter().filter_map(Top::part).collect();
        // Two letters mean a part only where every folder is one.
        if shorts.count() > 0 && parts.len() > 1 && tops.iter().all(|top| top.part().is_some()) {
            tops.iter_mut().for_each(|top| top.word = top.part().map_or(Word::None, Word::Part));
        }
        let (parts, others): (Vec<Top>, Vec<Top>) = tops.into_iter().partition(is_part);
        if parts.is_empty() {
            return classes(root, &others);
        }
        let mut folders: BTreeMap<Part, Top> = BTreeMap::new();
        for top in parts {
            let Word::Part(part) = top.word else { continue };
            if let Some(first) = folders.get(&part) {
                let what = format!(
                    "{} and {} are both called {}; keep one, or {LIST}",
                    first.name,
                    top.name,
                    part.name()
                );
                return Err(refuse(&root, what));
            }
            folders.insert(part, top);
        }
        let names = || folders.values().map(|top| top.name.as_str()).collect::<Vec<_>>().join(", ");
        if let Some(other) = others.first() {
            let look = if folders.len() == 1 { "looks like a part" } else { "look like parts" };
            let what = format!(
                "{0} {look} of a split and {1} does not; if all are classes, {LIST}; if {1} is \
                 none, move it away",
                names(),
                other.name
            );
            return Err(refuse(&root, what));
        }
        if !folders.contains_key(&Part::Train) || folders.len() == 1 {
            let (is, lacks) = if folders.contains_key(&Part::Train) {
                (names(), "test")
            } else {
                (names(), "train")
            };
            let only = folders
                .values()
                .next()
                .map(|top| top.path.display().to_string())
                .unwrap_or_default();
            let what = format!(
                "there is a folder {is} but none named {lacks}; add it, give {only} to have its \
                 images divided, or {LIST}"
            );
            return Err(refuse(&root, what));
        }
        let mut inside = BTreeMap::new();
        for (part, top) in &folders {
            inside.insert(*part, class_folder(*part, top.path.clone())?);
        }
        alike(&root, &inside)?;
        Ok(Layout::Parts(inside))
    }
}

impl Top {
    fn part(&self) -> Option<Part> {
        match self.word {
            Word::Part(part) | Word::Short(part) => Some(part),
            Word::Within(_) | Word::None => None,
        }
    }
}

fn is_part(top: &Top) -> bool {
    matches!(top.word, Word::Part(_))
}

/// The folders of `root` that hold images.
fn tops(root: &Path) -> Result<Vec<Top>, Error> {
    let mut tops = Vec::new();
    for path in sorted(root)? {
        if path.is_dir() && holds_images(&path, 0)? {
            let name = name_of(&path)?;
            tops.push(Top { word: Word::of(&name), path, name });
        }
    }
    Ok(tops)
}

/// The names of the folders of `root` that hold images.
fn names(root: &Path) -> Result<BTreeSet<String>, Error> {
    Ok(tops(root)?.into_iter().map(|top| top.name).collect())
}

/// The number of images in `root` itself.
fn loose(root: &Path) -> Result<usize, Error> {
    Ok(sorted(root)?.iter().filter(|path| !path.is_dir() && is_image(path)).count())
}

/// Folders of which none is called a part, if they can be the classes.
fn classes(root: PathBuf, tops: &[Top]) -> Result<Layout, Error> {
    let mut within: BTreeMap<Part, &Top> = BTreeMap::new();
    for top in tops {
        if let Word::Within(part) = top.word {
            within.entry(part).or_insert(top);
        }
    }
    if let [(_, one), (_, other), ..] = &within.iter().collect::<Vec<_>>()[..] {
        let what = format!(
            "{} and {} look like parts of a split, and what else their names say is unclear; name \
             the parts train and \
             test with the class folders inside, or {LIST}",
            one.name, other.name
        );
        return Err(refuse(&root, what));
    }
    let inside = tops.iter().map(|top| names(&top.path)).collect::<Result<Vec<_>, Error>>()?;
    for (top, own) in tops.iter().zip(&inside) {
        let shared = |(_, other): &(&Top, &BTreeSet<String>)| own.intersection(other).count() > 1;
        let others = tops.iter().zip(&inside).filter(|(other, _)| other.name != top.name);
        if let (Word::Within(_), Some((other, _))) = (top.word, others.into_iter().find(shared)) {
            let what = format!(
                "{} looks like a part of a split, for {} has the same folders inside; name the \
                 parts train and test, or {LIST}",
                top.name, other.name
            );
            return Err(refuse(&root, what));
        }
        if let Some(part) = own.iter().find(|name| matches!(Word::of(name), Word::Part(_))) {
            let what = format!(
                "{0}/{part} looks like a part of a split inside of a class; put the split above \
                 the classes ({part}/{0}), or {LIST}",
                top.name
            );
            return Err(refuse(&root, what));
        }
    }
    Ok(Layout::Classes(root))
}

/// The folder at or below `folder` whose folders are the classes of `part`.
fn class_folder(part: Part, mut folder: PathBuf) -> Result<PathBuf, Error> {
    for _ in 0..MAX_DEPTH {
        let (tops, loose) = (tops(&folder)?, loose(&folder)?);
        if let ([only], 0) = (&tops[..], loose)
            && (only.part() == Some(part) || Word::is_filler(&only.name))
        {
            folder = only.path.clone();
            continue;
        }
        let what = match (tops.iter().find(|top| is_part(top)), tops.is_empty()) {
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
fn alike(root: &Path, folders: &BTreeMap<Part, PathBuf>) -> Result<(), Error> {
    let mut known: Option<(Part, BTreeSet<String>)> = None;
    for (&part, folder) in folders {
        let own = names(folder)?;
        let Some((first, classes)) = &known else {
            known = Some((part, own));
            continue;
        };
        if let Some(class) = classes.symmetric_difference(&own).next() {
            let (with, without) = if own.contains(class) { (part, *first) } else { (*first, part) };
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

fn refuse(path: &Path, what: String) -> Error {
    Error::DataFolder { path: path.to_owned(), what }
}
