//! What several commands share: options, their checks, and the names of files beside an output.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use medforge_runtime::Error as RuntimeError;
use medforge_runtime::bundle::description;

use crate::Error;
use crate::base::Fit;
use crate::data::{Columns, Dataset};
use crate::lora::{TextHead, is_task_name};

/// The images of a command.
#[derive(clap::Args)]
pub(super) struct DataArg {
    /// The images: a folder or a MedMNIST file (.npz)
    #[arg(id = "data", long = "data", value_name = "DIR")]
    pub path: PathBuf,
    /// What the columns path, label, group and split are called in DIR's splits.csv or labels.csv,
    /// where they have other names
    #[arg(long, value_name = "path=NAME,label=NAME,...")]
    columns: Option<String>,
}

impl DataArg {
    /// The list of the images.
    pub fn open(&self) -> Result<Dataset, Error> {
        Dataset::open_with(&self.path, &columns(self.columns.as_deref())?)
    }
}

/// How images become square.
#[derive(clap::Args)]
pub(super) struct FitArg {
    /// How images that are not square become so: crop (the centre; what is beside it is never
    /// seen), squash (the longer side squeezed) or pad (black beside them). Module, card and bundle
    /// carry it [default: as the base's preprocessor says]
    #[arg(long, value_parser = ["crop", "squash", "pad"])]
    fit: Option<String>,
}

impl FitArg {
    /// What was asked for, if anything was.
    pub fn get(&self) -> Option<Fit> {
        match self.fit.as_deref()? {
            "crop" => Some(Fit::Crop),
            "squash" => Some(Fit::Squash),
            _ => Some(Fit::Pad),
        }
    }
}

/// What `--columns` says.
pub(super) fn columns(given: Option<&str>) -> Result<Columns, Error> {
    let refuse = |what| Error::Option { name: "--columns", what };
    given.map_or_else(|| Ok(Columns::default()), |text| text.parse().map_err(refuse))
}

/// Refuses an option's value outside `low` to `high`.
pub(super) fn within(name: &'static str, value: f64, low: f64, high: f64) -> Result<(), Error> {
    if (low..=high).contains(&value) {
        Ok(())
    } else {
        Err(Error::Option { name, what: format!("is {value}, outside {low} to {high}") })
    }
}

/// A number of bytes: digits alone, or with one of the units k, M, G and T, as in 800MB (10^6) or
/// 6GiB (2^30).
pub(super) fn bytes(name: &'static str, text: &str) -> Result<u64, Error> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..].to_ascii_lowercase()[..] {
        "" | "b" => Some(1),
        "kb" => Some(1000),
        "mb" => Some(1000u64.pow(2)),
        "gb" => Some(1000u64.pow(3)),
        "tb" => Some(1000u64.pow(4)),
        "kib" => Some(1 << 10),
        "mib" => Some(1 << 20),
        "gib" => Some(1 << 30),
        "tib" => Some(1 << 40),
        _ => None,
    };
    let number: Option<f64> =
        digits.trim_end().parse().ok().filter(|n: &f64| n.is_finite() && *n > 0.0);
    let bytes =
        number.zip(unit).map(|(number, unit)| number * unit as f64).filter(|bytes| *bytes < 1e18);
    let refuse = || Error::Option {
        name,
        what: format!("{text:?} is no size; write bytes, or like 800MiB or 6GiB"),
    };
    bytes.map(|bytes| bytes as u64).ok_or_else(refuse)
}

/// Bytes in words.
pub(super) fn mebibytes(bytes: u64) -> String {
    match bytes as f64 / f64::from(1 << 20) {
        few if few < 1024.0 => format!("{few:.0} MiB"),
        many => format!("{:.2} GiB", many / 1024.0),
    }
}

/// Refuses a task's name that could not be part of a file's name.
pub(super) fn check_task(task: &str) -> Result<(), Error> {
    if is_task_name(task) {
        Ok(())
    } else {
        Err(Error::Option {
            name: "--task",
            what: format!(
                "{task:?} is not 1 to 64 lower-case letters, digits, '.', '_' or '-', the first no \
                 '.'"
            ),
        })
    }
}

/// Refuses a text that a bundle's manifest would refuse.
pub(super) fn check_text(option: &'static str, text: &str) -> Result<(), Error> {
    description::check_text("it", text).map_err(|error| match error {
        RuntimeError::Refused(refusal) => {
            Error::Option { name: option, what: format!("{text:?} is no name: {}", refusal.what) }
        }
        error => error.into(),
    })
}

/// Each `CLASS=TEXT` of `--class-text`, several texts of a class together.
pub(super) fn class_texts(given: &[String]) -> Result<TextHead, Error> {
    let refuse = |what: String| Err(Error::Option { name: "--class-text", what });
    let mut texts = TextHead::new();
    for text in given {
        match text.split_once('=').map(|(class, text)| (class.trim(), text.trim())) {
            Some((class, text)) if !class.is_empty() && !text.is_empty() => {
                texts.entry(class.to_owned()).or_default().push(text.to_owned());
            }
            _ => return refuse(format!("{text:?} is not CLASS=TEXT")),
        }
    }
    Ok(texts)
}

/// A SHA-256 over the paths, labels and groups of some images; not over their pixels.
pub(super) fn fingerprint(data: &Dataset, indices: &[usize]) -> String {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    for &i in indices {
        let item = &data.items[i];
        hash.update(format!(
            "{}\0{}\0{}\n",
            item.path.display(),
            data.classes[item.label],
            item.group
        ));
    }
    hex::encode(hash.finalize())
}

/// `path` with something added to its last name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Each `TASK=DIR` of the option `name` as the images of a task.
pub(super) fn folders(
    name: &'static str,
    given: &[String],
) -> Result<BTreeMap<String, Dataset>, Error> {
    let refuse = |what: String| Err(Error::Option { name, what });
    let mut data = BTreeMap::new();
    for text in given {
        let Some((task, dir)) =
            text.split_once('=').filter(|(task, dir)| !task.is_empty() && !dir.is_empty())
        else {
            return refuse(format!("{text:?} is not like TASK=DIR"));
        };
        if data.insert(task.to_owned(), Dataset::open(dir.as_ref())?).is_some() {
            return refuse(format!("names the task {task} twice"));
        }
    }
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// They are refused before the work begins, and not by the bundle at its end.
    #[test]
    fn names_that_no_bundle_takes_are_refused_at_once() {
        check_text("--contributor", "Universitätsklinikum Bonn").unwrap();
        for (name, word) in [
            (" ", "is empty"),
            ("a\u{7}b", "control characters"),
            ("Bo\u{ad}nn", "U+00AD, which nobody sees"),
            ("\u{202e}nnoB", "U+202E"),
            (&"x".repeat(257), "more than 256"),
        ] {
            let text = check_text("--contributor", name).unwrap_err().to_string();
            assert!(text.starts_with("--contributor ") && text.contains(word), "{text}");
        }
    }
}
