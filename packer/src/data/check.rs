//! Looks at a whole data set before anything is made of it: every file decoded once, all that is
//! wrong in one list, and what is not wrong but would make results look better than they are.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use medforge_runtime::Error as RuntimeError;
use medforge_runtime::image::RgbImage8;
use medforge_runtime::preprocess::Preprocessing;
use rayon::prelude::*;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::columns::Columns;
use super::dataset::{Dataset, Item, Looked};
use super::part::Part;
use super::progress::Progress;
use super::{npz, picture};
use crate::{Error, interrupt};

/// Fewer groups than this of a class in a part are worth a word.
const FEW: usize = 5;
/// Pairs of one kind that are named.
const NAMED: usize = 20;

/// What is in a data set and wrong with it.
#[derive(Debug, Serialize)]
pub struct Findings {
    /// Files, and images of a MedMNIST file, that were decoded.
    pub decoded: usize,
    /// Training without the validation part, validation, test; none where too much is wrong to say.
    pub parts: Vec<Counts>,
    pub faults: Vec<Fault>,
    /// What can be used and is worth a look.
    pub warnings: Vec<String>,
    /// The share of the images' area that the crop leaves away, on average and at most; none where
    /// nothing was decoded.
    pub share_cut: Option<[f64; 2]>,
}

/// The images of one part.
#[derive(Debug, Serialize)]
pub struct Counts {
    pub name: &'static str,
    pub images: usize,
    pub groups: usize,
    /// Images and groups of each class.
    pub classes: BTreeMap<String, [usize; 2]>,
}

/// Something that cannot be used.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// Which file, or which row of the list.
    pub file: String,
    pub what: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instead: Option<String>,
}

/// What was seen of one picture.
struct Seen {
    /// Of its size and pixels.
    digest: [u8; 32],
    cut: f64,
    /// What was odd about its file.
    notes: Vec<String>,
}

impl Findings {
    /// Looks at the data set at `root`, whose images would be prepared by `preprocessing`.
    ///
    /// # Errors
    /// [`Error::Interrupted`], an option that does not fit; all else is among the faults.
    pub fn of(
        root: &Path,
        columns: &Columns,
        preprocessing: &Preprocessing,
    ) -> Result<Findings, Error> {
        preprocessing.check()?;
        let Looked { dataset, files, faults, notes } = match Dataset::look(root, columns) {
            Ok(looked) => looked,
            Err(error @ (Error::Option { .. } | Error::Interrupted { .. })) => return Err(error),
            Err(fault) => {
                Looked { dataset: None, files: Vec::new(), faults: vec![fault], notes: Vec::new() }
            }
        };
        let mut faults: Vec<Fault> = faults.iter().map(|error| Fault::of(root, error)).collect();
        let seen = look_at(root, &files, preprocessing)?;
        let known: BTreeSet<String> = faults.iter().map(|fault| fault.file.clone()).collect();
        let undecoded =
            seen.iter().filter_map(|seen| seen.as_ref().err()).map(|error| Fault::of(root, error));
        faults.extend(undecoded.filter(|fault| !known.contains(&fault.file)));
        let mut warnings = notes;
        let noted = files
            .iter()
            .zip(&seen)
            .filter_map(|(file, seen)| Some((&**file, &seen.as_ref().ok()?.notes[..])));
        warnings.extend(picture::note_lines(noted));
        let mut parts = Vec::new();
        if let Some(data) = &dataset {
            let all =
                [Part::Train, Part::Validation, Part::Test].map(|part| Counts::of(data, part));
            parts = all.into_iter().filter(|part| part.images > 0).collect();
            warnings.extend(parts.iter().flat_map(Counts::few));
            warnings.extend(twins(data, &seen));
        }
        let cuts: Vec<f64> = seen.iter().flatten().map(|seen| seen.cut).collect();
        let share_cut = (!cuts.is_empty()).then(|| {
            [cuts.iter().sum::<f64>() / cuts.len() as f64, cuts.iter().copied().fold(0.0, f64::max)]
        });
        Ok(Findings { decoded: cuts.len(), parts, faults, warnings, share_cut })
    }
}

impl Fault {
    /// `error` as a line of a list.
    fn of(root: &Path, error: &Error) -> Fault {
        let file = match error {
            Error::SplitsRow { file, row, .. } => format!("{}, row {row}", file.display()),
            Error::ImageMissing { place, .. }
            | Error::PathLeavesFolder { place, .. }
            | Error::UnknownTestClass { place, .. } => place.clone(),
            Error::DuplicatePath { second, .. } | Error::DuplicateInstance { second, .. } => {
                second.clone()
            }
            Error::DataFolder { path, .. }
            | Error::TooLarge { path, .. }
            | Error::Io { path, .. } => path.display().to_string(),
            Error::Runtime(
                RuntimeError::Image { file, .. } | RuntimeError::DicomUnsupported { file, .. },
            ) => file.clone(),
            _ => root.display().to_string(),
        };
        let text = error.to_string();
        let text = text.strip_prefix(&format!("{file}: ")).unwrap_or(&text);
        let (what, instead) =
            text.rsplit_once("; ").map_or((text, None), |(what, rest)| (what, Some(rest)));
        Fault { what: what.to_owned(), instead: instead.map(str::to_owned), file }
    }
}

impl Counts {
    fn of(data: &Dataset, part: Part) -> Counts {
        let items: Vec<&Item> = data.items.iter().filter(|item| item.part() == part).collect();
        let groups = |items: &[&Item]| {
            items.iter().map(|item| item.group.as_str()).collect::<BTreeSet<_>>().len()
        };
        let class = |(label, class): (usize, &String)| {
            let own: Vec<&Item> =
                items.iter().copied().filter(|item| item.label == label).collect();
            (class.clone(), [own.len(), groups(&own)])
        };
        let classes = data.classes.iter().enumerate().map(class).collect();
        Counts { name: part.name(), images: items.len(), groups: groups(&items), classes }
    }

    /// What there is to say of classes of few groups.
    fn few(&self) -> impl Iterator<Item = String> {
        let few = self.classes.iter().filter(|(_, [images, groups])| *images > 0 && *groups < FEW);
        few.map(|(class, [images, groups])| {
            let name = self.name;
            format!(
                "class {class} has {groups} groups (patients) in {name}, of {images} images: that \
                 says little of others"
            )
        })
    }
}

/// Decodes every file, or image of a MedMNIST file.
fn look_at(
    root: &Path,
    files: &[PathBuf],
    preprocessing: &Preprocessing,
) -> Result<Vec<Result<Seen, Error>>, Error> {
    let progress = Progress::new("images", files.len());
    let look = |image: &RgbImage8| {
        progress.step();
        let mut hash = Sha256::new();
        hash.update(image.width().to_le_bytes());
        hash.update(image.data());
        let cut = preprocessing.share_cut(image.width(), image.height());
        Seen { digest: hash.finalize().into(), cut, notes: Vec::new() }
    };
    if !root.is_file() {
        let one = |file: &PathBuf| {
            interrupt::check()?;
            let decoded = picture::decode(&root.join(file));
            Ok(decoded.map(|picture| Seen { notes: picture.notes, ..look(&picture.image) }))
        };
        return files.par_iter().map(one).collect();
    }
    let paths: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    let mut seen: Vec<(usize, Result<Seen, Error>)> = Vec::with_capacity(files.len());
    let all = npz::images(root, &paths, |chunk| {
        seen.extend(chunk.iter().map(|(place, image)| (*place, Ok(look(image)))));
        Ok(())
    });
    match all {
        Err(error @ Error::Interrupted { .. }) => return Err(error),
        Err(fault) => seen.push((usize::MAX, Err(fault))),
        Ok(()) => seen.sort_by_key(|(place, _)| *place),
    }
    Ok(seen.into_iter().map(|(_, seen)| seen).collect())
}

/// What there is to say of pictures that are there several times: in two parts, in two classes, or
/// in one.
fn twins(data: &Dataset, seen: &[Result<Seen, Error>]) -> Vec<String> {
    let mut first: HashMap<[u8; 32], &Item> = HashMap::new();
    let (mut parts, mut classes, mut within) = (Vec::new(), Vec::new(), 0);
    for (item, seen) in data.items.iter().zip(seen) {
        let Ok(seen) = seen else { continue };
        let other = *first.entry(seen.digest).or_insert(item);
        let name = |item: &Item| item.path.display().to_string();
        if other.part() != item.part() {
            parts.push(format!(
                "{} ({}) and {} ({}) are the same picture: results will look better than they are",
                name(other),
                other.part().name(),
                name(item),
                item.part().name()
            ));
        } else if other.label != item.label {
            let [one, two] =
                [other, item].map(|item| format!("{} ({})", name(item), data.classes[item.label]));
            classes.push(format!("{one} and {two} are the same picture, of two classes"));
        } else if other.path != item.path {
            within += 1;
        }
    }
    let mut said = Vec::new();
    for all in [parts, classes] {
        let more = all.len().saturating_sub(NAMED);
        said.extend(all.into_iter().take(NAMED));
        if more > 0 {
            said.push(format!("{more} more pairs are of this kind"));
        }
    }
    if within > 0 {
        said.push(format!("{within} pictures are there before, in the same part and class"));
    }
    said
}
