//! The condensed set: a few synthetic images per class with their labels, and the record of how
//! they were made.
//!
//! A set is a folder of `condensed.safetensors`, `condensed.json` (the record) and
//! `contact-sheet.png`. The tensors are `images` [n, 3, size, size], RGB in 0..1 in f16, and
//! `labels` [n, classes], each row probabilities.

use std::collections::BTreeMap;

use medforge_runtime::preprocess::Preprocessing;
use medforge_runtime::tensors::{self, Dtype, Tensor};

use crate::Error;

mod read;
mod record;
#[cfg(test)]
pub(crate) mod tests;

pub use record::{Labels, Record, Start};

/// Synthetic images that stand in for a contributor's own.
#[derive(Clone, Debug)]
pub struct Condensed {
    pub record: Record,
    /// [n, 3, size, size], RGB in 0..1.
    pub images: Vec<f32>,
    /// [n, classes], each row probabilities.
    pub labels: Vec<f32>,
}

impl Condensed {
    /// Every condensed set has this file, and no other folder has.
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
}
