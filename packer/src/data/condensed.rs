//! The condensed set: a few synthetic images per class with their labels, and the record of how
//! they were made.
//!
//! A folder of `condensed.safetensors` (`images` [n, 3, size, size], RGB in 0..1 in f16; `labels`
//! [n, classes], each row probabilities), `condensed.json` (the record) and `contact-sheet.png`.
//! Refused: shapes that do not fit each other or the record, values outside 0..1 or no numbers,
//! rows of labels that do not sum to 1, unknown fields, other versions.

use std::collections::BTreeMap;
use std::path::Path;

use medforge_runtime::preprocess::Preprocessing;
use medforge_runtime::tensors::{self, Dtype, Tensor};
use medforge_runtime::words::shown;
use serde::{Deserialize, Serialize};

use crate::{Error, input};

/// Synthetic images that stand in for a contributor's own.
#[derive(Clone, Debug)]
pub struct Condensed {
    pub record: Record,
    /// [n, 3, size, size], RGB in 0..1.
    pub images: Vec<f32>,
    /// [n, classes], probabilities.
    pub labels: Vec<f32>,
}

/// `condensed.json`: what a set is for and how it was made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Always `medforge-condensed`.
    pub format: String,
    /// Always 1.
    pub version: u32,
    pub task: String,
    pub classes: Vec<String>,
    pub per_class: usize,
    /// Side in pixels.
    pub image_size: u32,
    pub base_digest: String,
    /// How the real images were brought to that size, and how these are normalised for the base.
    pub preprocessing: Preprocessing,
    /// What the pixels started from.
    pub start: Start,
    pub labels: Labels,
    /// Real training images, and groups (patients), that were condensed; none where their number is
    /// protected.
    pub real_images: Option<usize>,
    pub real_groups: Option<usize>,
    /// The module that took part, by the SHA-256 of its factors.
    pub module: Option<String>,
    /// Every other setting.
    pub settings: serde_json::Value,
    /// The loss at the start and at the end.
    pub loss: [f64; 2],
    /// Of a private set, the accounting; without it nothing is promised.
    pub privacy: Option<serde_json::Value>,
}

/// What the pixels start from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    Noise,
    /// Images of patients: for research, never to be given away.
    Real,
}

/// What the labels of the images are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Labels {
    /// One class each.
    Hard,
    /// The module's probabilities.
    Soft,
}

impl Record {
    pub const FORMAT: &str = "medforge-condensed";
    pub const VERSION: u32 = 1;
}

/// The largest files that are read, in bytes.
const MAX_RECORD: usize = 1 << 20;
const MAX_TENSORS: u64 = 1 << 30;

impl Condensed {
    /// The file by which a folder is known as a condensed set.
    pub const MARKER: &str = "condensed.json";

    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len() / self.record.classes.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The most probable class of each image, the first of equals.
    pub fn classes(&self) -> Vec<usize> {
        let rows = self.labels.chunks_exact(self.record.classes.len());
        rows.map(|row| (1..row.len()).fold(0, |best, c| if row[c] > row[best] { c } else { best }))
            .collect()
    }

    /// The images [n, 3, size, size] normalised for the base.
    pub fn normalised(&self) -> Vec<f32> {
        let Preprocessing { rescale, mean, std, .. } = self.record.preprocessing;
        let pixels = (self.record.image_size as usize).pow(2);
        let planes = self.images.chunks_exact(pixels).enumerate();
        let scaled = planes.flat_map(|(plane, values)| {
            let c = plane % 3;
            values
                .iter()
                .map(move |v| ((f64::from(*v) * 255.0 * rescale - mean[c]) / std[c]) as f32)
        });
        scaled.collect()
    }

    /// Image `index` as height x width x RGB bytes.
    pub fn rgb(&self, index: usize) -> Vec<u8> {
        let pixels = (self.record.image_size as usize).pow(2);
        let image = &self.images[index * 3 * pixels..][..3 * pixels];
        (0..3 * pixels).map(|i| (image[i % 3 * pixels + i / 3] * 255.0).round() as u8).collect()
    }

    /// `condensed.safetensors` and `condensed.json`. Images are rounded to f16;
    /// [`Condensed::rounded`] gives what a reader sees.
    pub fn files(&self) -> Result<Vec<(&'static str, Vec<u8>)>, Error> {
        let (n, size) = (self.len(), self.record.image_size as usize);
        let images = Tensor {
            dtype: Dtype::F16,
            ..Tensor::f32(vec![n, 3, size, size], self.images.clone())
        };
        let labels = Tensor::f32(vec![n, self.record.classes.len()], self.labels.clone());
        let tensors = tensors::write([("images", &images), ("labels", &labels)], &BTreeMap::new())?;
        let mut record = serde_json::to_vec_pretty(&self.record).expect("a record is plain data");
        record.push(b'\n');
        Ok(vec![("condensed.safetensors", tensors), (Self::MARKER, record)])
    }

    /// The set as it reads back from its files.
    pub fn rounded(mut self) -> Self {
        self.images.iter_mut().for_each(|v| *v = half::f16::from_f32(*v).to_f32());
        self
    }

    /// Reads a set's folder.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        Self::read(dir, |name| input::read(&dir.join(name), MAX_TENSORS))
    }

    /// The same of a set whose files are given by name; messages name them as files of `place`.
    pub fn read(
        place: &Path,
        file: impl Fn(&str) -> Result<Vec<u8>, Error>,
    ) -> Result<Self, Error> {
        let path = place.join(Self::MARKER);
        let refuse = |what: String| Error::Condensed { path: path.clone(), what };
        let bytes = file(Self::MARKER)?;
        if bytes.len() > MAX_RECORD {
            return Err(Error::TooLarge { path, what: format!("more than {MAX_RECORD} bytes") });
        }
        let record: Record = serde_json::from_slice(&bytes).map_err(|e| {
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

        let path = place.join("condensed.safetensors");
        let refuse = |what: String| Error::Condensed { path: path.clone(), what };
        let bytes = file("condensed.safetensors")?;
        let mut tensors = tensors::read(&bytes, &path.display().to_string())?;
        let mut take = |name: &str| {
            tensors.remove(name).ok_or_else(|| refuse(format!("tensor {name} is missing")))
        };
        let (images, labels) = (take("images")?, take("labels")?);
        let (size, classes) = (record.image_size as usize, record.classes.len());
        let n = labels.shape.first().copied().unwrap_or(0);
        if n == 0 || labels.shape != [n, classes] {
            return Err(refuse(format!(
                "tensor labels has shape {:?} for {classes} classes",
                labels.shape
            )));
        }
        if images.shape != [n, 3, size, size] {
            let expected = [n, 3, size, size];
            return Err(refuse(format!(
                "tensor images has shape {:?} where {expected:?} is right",
                images.shape
            )));
        }
        let outside = |t: &Tensor| t.data.iter().position(|v| !(0.0..=1.0).contains(v));
        if let Some(at) = outside(&images) {
            let (image, value) = (at / (3 * size * size), images.data[at]);
            return Err(refuse(format!("image {image} holds {value}, outside 0 to 1")));
        }
        let sums = labels.data.chunks_exact(classes).map(|row| row.iter().sum::<f32>());
        if let Some(row) = outside(&labels)
            .map(|at| at / classes)
            .or(sums.into_iter().position(|s| (s - 1.0).abs() > 1e-3))
        {
            return Err(refuse(format!("row {row} of labels holds no probabilities")));
        }
        Ok(Condensed { record, images: images.data, labels: labels.data })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use medforge_runtime::preprocess::{CropOffset, Filter, Resize, Size};

    pub fn set() -> Condensed {
        let side = Size { height: 4, width: 4 };
        let record = Record {
            format: Record::FORMAT.into(),
            version: Record::VERSION,
            task: "t".into(),
            classes: vec!["a".into(), "b".into()],
            per_class: 1,
            image_size: 4,
            base_digest: "0".into(),
            preprocessing: Preprocessing {
                resize: Resize::Exact(side),
                filter: Filter::Bicubic,
                crop: None,
                crop_offset: CropOffset::Floor,
                rescale: 1.0 / 255.0,
                mean: [0.5, 0.4, 0.3],
                std: [0.5, 0.25, 0.125],
            },
            start: Start::Noise,
            labels: Labels::Hard,
            real_images: Some(7),
            real_groups: Some(5),
            module: None,
            settings: serde_json::json!({"iterations": 3}),
            loss: [2.0, 1.0],
            privacy: None,
        };
        let images = (0..96).map(|i| i as f32 / 96.0).collect();
        Condensed { record, images, labels: vec![1.0, 0.0, 0.25, 0.75] }
    }

    fn stored(set: &Condensed) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, bytes) in set.files().unwrap() {
            std::fs::write(dir.path().join(name), bytes).unwrap();
        }
        dir
    }

    #[test]
    fn a_set_reads_back_as_it_was_rounded() {
        let set = set();
        let dir = stored(&set);
        let read = Condensed::open(dir.path()).unwrap();
        let expected = set.rounded();
        assert_eq!(
            (&read.record, &read.images, &read.labels),
            (&expected.record, &expected.images, &expected.labels)
        );
        assert_eq!((read.len(), read.classes()), (2, vec![0, 1]));
    }

    #[test]
    fn pixels_are_normalised_and_shown_by_channel() {
        let set = set();
        let normalised = set.normalised();
        assert!((normalised[0] + 1.0).abs() < 1e-6);
        assert!((f64::from(normalised[16 + 3]) - (19.0 / 96.0 - 0.4) / 0.25).abs() < 1e-6);
        assert_eq!(set.rgb(0)[..4], [0, 43, 85, 3]);
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_place() {
        // The tensors are written as they are, the record as it was changed.
        let case = |change: &dyn Fn(&mut Condensed)| {
            let mut changed = set();
            change(&mut changed);
            let dir = stored(&Condensed { record: set().record, ..changed.clone() });
            std::fs::write(
                dir.path().join(Condensed::MARKER),
                serde_json::to_vec(&changed.record).unwrap(),
            )
            .unwrap();
            Condensed::open(dir.path()).unwrap_err().to_string()
        };
        assert!(case(&|s| s.images[50] = 1.5).contains("image 1 holds 1.5"));
        assert!(case(&|s| s.images[3] = -0.01).contains("image 0"));
        assert!(case(&|s| s.labels[2] = 0.5).contains("row 1 of labels"));
        assert!(case(&|s| s.record.version = 2).contains("version 2"));
        assert!(case(&|s| s.record.classes.push("c".into())).contains("labels has shape"));
        assert!(case(&|s| s.record.classes.truncate(1)).contains("fewer than two"));
        assert!(case(&|s| s.record.image_size = 8).contains("no images of 8"));
        let dir = stored(&set());
        let path = dir.path().join(Condensed::MARKER);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replacen("\"task\"", "\"tusk\"", 1)).unwrap();
        assert!(Condensed::open(dir.path()).unwrap_err().to_string().contains("tusk"));
        std::fs::remove_file(dir.path().join("condensed.safetensors")).unwrap();
        std::fs::write(&path, text).unwrap();
        assert!(
            Condensed::open(dir.path()).unwrap_err().to_string().contains("condensed.safetensors")
        );
    }
}
