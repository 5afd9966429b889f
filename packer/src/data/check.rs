//! Checks a whole data set before anything is trained on it. Every file is decoded once.
//!
//! All that is wrong comes in one list, and so do warnings: what is not wrong, but would make
//! results look better than they are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use medforge_runtime::Error as RuntimeError;
use medforge_runtime::preprocess::Preprocessing;
use serde::Serialize;

use super::columns::Columns;
use super::dataset::{Dataset, Item};
use super::open::Opened;
use super::part::SplitPart;
use super::picture;
use crate::Error;

mod pictures;

use pictures::{decode_all, twins};

/// A class with fewer groups than this in a part gets a warning.
const FEW: usize = 5;

/// What is in a data set, and what is wrong with it.
#[derive(Debug, Serialize)]
pub struct Findings {
    /// Files, and images of a MedMNIST file, that were decoded.
    pub decoded: usize,
    /// Training without the validation part, validation, test. Empty where too much is wrong to
    /// say.
    pub parts: Vec<Counts>,
    pub faults: Vec<Fault>,
    /// What can be used and may still mislead.
    pub warnings: Vec<String>,
    /// The fraction of an image's area that the crop leaves away, on average and at most. None
    /// where nothing was decoded.
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

impl Findings {
    /// Checks the data set at `root`, whose images `preprocessing` would prepare.
    ///
    /// # Errors
    /// [`Error::Interrupted`], [`Error::Option`]; all else is among the faults.
    pub fn of(
        root: &Path,
        columns: &Columns,
        preprocessing: &Preprocessing,
    ) -> Result<Findings, Error> {
        preprocessing.check()?;
        let Opened { dataset, files, faults, notes } = match Opened::at(root, columns) {
            Ok(opened) => opened,
            Err(error @ (Error::Option { .. } | Error::Interrupted { .. })) => return Err(error),
            Err(fault) => {
                Opened { dataset: None, files: Vec::new(), faults: vec![fault], notes: Vec::new() }
            }
        };
        let mut faults: Vec<Fault> = faults.iter().map(|error| Fault::of(root, error)).collect();
        let pictures = decode_all(root, &files, preprocessing)?;
        let named: BTreeSet<String> = faults.iter().map(|fault| fault.file.clone()).collect();
        let undecoded = pictures.iter().filter_map(|picture| picture.as_ref().err());
        let undecoded = undecoded.map(|error| Fault::of(root, error));
        faults.extend(undecoded.filter(|fault| !named.contains(&fault.file)));
        let mut warnings = notes;
        let noted = files
            .iter()
            .zip(&pictures)
            .filter_map(|(file, picture)| Some((&**file, &picture.as_ref().ok()?.notes[..])));
        warnings.extend(picture::note_lines(noted));
        let mut parts = Vec::new();
        if let Some(data) = &dataset {
            let all = [SplitPart::Train, SplitPart::Validation, SplitPart::Test];
            let all = all.map(|part| Counts::of(data, part));
            parts = all.into_iter().filter(|part| part.images > 0).collect();
            warnings.extend(parts.iter().flat_map(Counts::few));
            warnings.extend(twins(data, &pictures));
        }
        let cuts: Vec<f64> = pictures.iter().flatten().map(|picture| picture.cut).collect();
        let share_cut = (!cuts.is_empty()).then(|| {
            [cuts.iter().sum::<f64>() / cuts.len() as f64, cuts.iter().copied().fold(0.0, f64::max)]
        });
        Ok(Findings { decoded: cuts.len(), parts, faults, warnings, share_cut })
    }
}

impl Fault {
    /// `error` as one line: its text is cut at the last semicolon, after which it says what to do.
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
    fn of(data: &Dataset, part: SplitPart) -> Counts {
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

    /// Warnings about classes of few groups.
    fn few(&self) -> impl Iterator<Item = String> {
        let few = self.classes.iter().filter(|(_, [images, groups])| *images > 0 && *groups < FEW);
        few.map(|(class, [images, groups])| {
            let name = self.name;
            format!(
                "class {class} has {groups} groups (patients) in {name}, of {images} images: too \
                 few to say much about other patients"
            )
        })
    }
}
