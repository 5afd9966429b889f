//! Some images of an evaluation, with what speaks for their predictions. Wrong answers come first.
//!
//! The name of a file may tell who a patient is, so an image is named by its digest.

use std::path::Path;

use medforge_runtime::bundle::sha256_hex;
use serde::Serialize;

use super::bench::{Bench, Results};
use crate::data::Dataset;
use crate::device::Device;
use crate::lora::Module;
use crate::predict::argmax;
use crate::saliency::{self, overlay};
use crate::{Error, input};

/// One image, its prediction, and where in the image that comes from. Its JSON is what `packer eval
/// --json` lists.
#[derive(Clone, Debug, Serialize)]
pub struct Explained {
    /// The overlay's name: place in the list, image, true class, predicted class, probability.
    pub file: String,
    /// The first 16 hex digits of the SHA-256 of the image's file. An image in a MedMNIST file has
    /// its part and row.
    pub image: String,
    pub truth: String,
    pub predicted: String,
    /// Of the predicted class.
    pub probability: f64,
    /// A PNG file: the map over the image as the base sees it, or over grey.
    #[serde(skip)]
    pub overlay: Vec<u8>,
    /// A PNG file for a page: the image and below it the map, or the map alone.
    #[serde(skip)]
    pub shown: Vec<u8>,
}

impl<D: Device + 'static> Bench<'_, D> {
    /// Explains `count` images of `results`, which this bench made with `module`. Wrong answers
    /// come first, then right ones: half of each while there are enough. Only `with_images` puts
    /// pixels of the images into the PNG files.
    ///
    /// # Errors
    /// As [`saliency::of`]; [`Error::Io`] for a file that cannot be read again.
    pub fn explain(
        &self,
        module: &Module,
        results: &Results,
        count: usize,
        with_images: bool,
    ) -> Result<Vec<Explained>, Error> {
        let rows =
            choose(self.images.labels(), &results.probabilities, self.data.classes.len(), count);
        let found = saliency::of(&self.device, self.vit, module, &self.images, &rows)?;
        let explained = rows.iter().zip(found).enumerate().map(|(place, (&row, found))| {
            let (index, side) = (self.indices[row], self.size as usize);
            let item = &self.data.items[index];
            let class = |class: usize| self.data.classes[class].clone();
            let (truth, predicted, probability) =
                (class(item.label), class(found.class), found.probabilities[found.class]);
            let rgb = self.images.pixels(row);
            let grey = vec![GREY; rgb.len()];
            let under = if with_images { rgb } else { &grey };
            let overlay = overlay::overlay(under, side, &found.map, found.grid)?;
            let image = name(self.data, &item.path)?;
            let names = [&truth, &predicted].map(|name| file_part(name));
            Ok(Explained {
                file: format!(
                    "{place:03}_{image}_true-{}_predicted-{}_{probability:.3}.png",
                    names[0], names[1]
                ),
                image,
                truth,
                predicted,
                probability,
                shown: if with_images {
                    overlay::pair(rgb, side, &found.map, found.grid)?
                } else {
                    overlay.clone()
                },
                overlay,
            })
        });
        explained.collect()
    }
}

/// The grey that stands under a map in the image's place.
pub const GREY: u8 = 128;

/// What an image is called, since its file's name would tell too much.
fn name(data: &Dataset, path: &Path) -> Result<String, Error> {
    if data.root.is_file() {
        return Ok(file_part(&path.display().to_string()));
    }
    let path = data.root.join(path);
    let bytes = input::read(&path, input::MAX_IMAGE)?;
    Ok(sha256_hex(&bytes)[..16].to_owned())
}

/// Rows of wrong answers, the one whose truth seemed least likely first. Then rows of right
/// answers, of each class in turn. Half of each, or what there is.
fn choose(labels: &[usize], probabilities: &[f32], classes: usize, count: usize) -> Vec<usize> {
    let row = |i: usize| &probabilities[i * classes..][..classes];
    let predicted = |i: usize| argmax(&row(i).iter().map(|&p| f64::from(p)).collect::<Vec<_>>());
    let (right, mut wrong): (Vec<usize>, Vec<usize>) =
        (0..labels.len()).partition(|&i| predicted(i) == labels[i]);
    wrong.sort_by(|&a, &b| row(a)[labels[a]].total_cmp(&row(b)[labels[b]]));
    // The first of each class, then the second of each, and so on.
    let place = |at: usize| right[..at].iter().filter(|&&i| labels[i] == labels[right[at]]).count();
    let mut turns: Vec<(usize, usize, usize)> =
        (0..right.len()).map(|at| (place(at), labels[right[at]], right[at])).collect();
    turns.sort_unstable();
    wrong.truncate(count.div_ceil(2).max(count.saturating_sub(right.len())));
    turns.truncate(count - wrong.len());
    wrong.into_iter().chain(turns.into_iter().map(|(_, _, row)| row)).collect()
}

/// A class's name as a part of a file's name: at most 40 letters, digits, '-' and '.'. Other
/// characters become '_'.
fn file_part(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '.') { c } else { '_' };
    name.chars().take(40).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_answers_come_first_and_right_ones_take_turns() {
        let labels = [0, 0, 0, 1, 1, 1];
        let ones = [0.1, 0.2, 0.9, 0.6, 0.3, 0.2f32];
        let rows: Vec<f32> = ones.iter().flat_map(|p| [1.0 - p, *p]).collect();
        let chosen = |count| choose(&labels, &rows, 2, count);
        // Wrong are 2, 5, 4 in this order; right are 0, 1 and 3.
        assert_eq!(chosen(4), [2, 5, 0, 3]);
        assert_eq!(chosen(1), [2]);
        assert_eq!(chosen(6), [2, 5, 4, 0, 3, 1]);
        assert_eq!(chosen(99), [2, 5, 4, 0, 3, 1]);
        assert_eq!(choose(&labels[..2], &rows[..4], 2, 3), [0, 1]);
        assert_eq!(choose(&labels[4..], &rows[8..], 2, 3), [1, 0]);
    }

    #[test]
    fn a_class_cannot_lead_out_of_the_folder() {
        assert_eq!(file_part("../../etc/pass wd"), ".._.._etc_pass_wd");
        assert_eq!(file_part(&"x".repeat(400)).len(), 40);
    }
}
