//! Reads a condensed set from its files.
//!
//! Refused: shapes that do not fit each other or the record, values that are not in 0..1, rows of
//! labels that do not sum to 1, unknown fields, other versions.

use std::path::Path;

use medforge_runtime::tensors::{self, Tensor};
use medforge_runtime::words::shown;

use super::{Condensed, Record};
use crate::{Error, input};

/// The largest record that is read, in bytes.
const MAX_RECORD: usize = 1 << 20;
/// The largest file of tensors that is read, in bytes.
const MAX_TENSORS: u64 = 1 << 30;
const TENSORS: &str = "condensed.safetensors";

impl Condensed {
    /// Reads a set's folder.
    ///
    /// # Errors
    /// [`Error::Condensed`], [`Error::TooLarge`], [`Error::Io`], [`Error::Runtime`].
    pub fn open(dir: &Path) -> Result<Self, Error> {
        Self::read(dir, |name| input::read(&dir.join(name), MAX_TENSORS))
    }

    /// The same for a set whose files `file` gives by name. Messages call them files of `place`.
    ///
    /// # Errors
    /// As [`Condensed::open`].
    pub fn read(
        place: &Path,
        file: impl Fn(&str) -> Result<Vec<u8>, Error>,
    ) -> Result<Self, Error> {
        let record = record(place, &file(Self::MARKER)?)?;
        let path = place.join(TENSORS);
        let bytes = file(TENSORS)?;
        let mut tensors = tensors::read(&bytes, &path.display().to_string())?;
        let refuse = |what: String| Error::Condensed { path: path.clone(), what };
        let mut take = |name: &str| {
            tensors.remove(name).ok_or_else(|| refuse(format!("tensor {name} is missing")))
        };
        let (images, labels) = (take("images")?, take("labels")?);
        check_tensors(&record, &images, &labels).map_err(refuse)?;
        Ok(Condensed { record, images: images.data, labels: labels.data })
    }
}

/// The record in `bytes`.
fn record(place: &Path, bytes: &[u8]) -> Result<Record, Error> {
    let path = place.join(Condensed::MARKER);
    if bytes.len() > MAX_RECORD {
        return Err(Error::TooLarge { path, what: format!("more than {MAX_RECORD} bytes") });
    }
    let refuse = |what: String| Error::Condensed { path: path.clone(), what };
    let record: Record = serde_json::from_slice(bytes).map_err(|e| {
        refuse(format!("is no record of a condensed set: {}", shown(&e.to_string())))
    })?;
    if record.format != Record::FORMAT || record.version != Record::VERSION {
        let (format, version) = (&record.format, record.version);
        return Err(refuse(format!(
            "is {format} version {version}, and packer reads medforge-condensed version 1"
        )));
    }
    if record.classes.len() < 2 {
        return Err(refuse("names fewer than two classes".into()));
    }
    record.preprocessing.check()?;
    let output = record.preprocessing.output_size();
    if (output.height, output.width) != (record.image_size, record.image_size) {
        return Err(refuse(format!(
            "its preprocessing makes no images of {} pixels",
            record.image_size
        )));
    }
    Ok(record)
}

/// Whether the tensors fit the record, and hold values that they may hold.
fn check_tensors(record: &Record, images: &Tensor, labels: &Tensor) -> Result<(), String> {
    let (size, classes) = (record.image_size as usize, record.classes.len());
    let n = labels.shape.first().copied().unwrap_or(0);
    if n == 0 || labels.shape != [n, classes] {
        return Err(format!("tensor labels has shape {:?} for {classes} classes", labels.shape));
    }
    let expected = [n, 3, size, size];
    if images.shape != expected {
        return Err(format!(
            "tensor images has shape {:?} where {expected:?} is right",
            images.shape
        ));
    }
    let outside = |t: &Tensor| t.data.iter().position(|v| !(0.0..=1.0).contains(v));
    if let Some(at) = outside(images) {
        let (image, value) = (at / (3 * size * size), images.data[at]);
        return Err(format!("image {image} holds {value}, outside 0 to 1"));
    }
    let mut sums = labels.data.chunks_exact(classes).map(|row| row.iter().sum::<f32>());
    let unlikely = outside(labels)
        .map(|at| at / classes)
        .or_else(|| sums.position(|sum| (sum - 1.0).abs() > 1e-3));
    unlikely.map_or(Ok(()), |row| Err(format!("row {row} of labels holds no probabilities")))
}
