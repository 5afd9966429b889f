//! Pixels of a data set's images: decoded, resized and cropped once, and kept as bytes. A batch is
//! normalised when it is asked for.

use medforge_runtime::image::RgbImage8;
use medforge_runtime::preprocess::{Preprocessing, Size};
use rayon::prelude::*;

use super::augment::{Augment, Draw};
use super::colour::Colour;
use super::condensed::Condensed;
use crate::Error;

mod headers;
mod load;

/// Images in memory, in the order they were asked for.
pub struct Images {
    preprocessing: Preprocessing,
    size: Size,
    pixels: Vec<u8>,
    labels: Vec<usize>,
    groups: Vec<usize>,
    colours: Vec<Colour>,
    /// The fraction of the area that the crop leaves away, on average.
    cut: f64,
}

impl Images {
    /// The images of a condensed set in 8 bits. Each is a group of its own, and its label is its
    /// most probable class.
    pub fn of(set: &Condensed) -> Images {
        let pixels: Vec<Vec<u8>> = (0..set.len()).map(|i| set.rgb(i)).collect();
        Images {
            preprocessing: set.record.preprocessing.clone(),
            size: set.record.preprocessing.output_size(),
            colours: pixels.iter().map(|rgb| Colour::of(rgb)).collect(),
            pixels: pixels.concat(),
            labels: set.classes(),
            groups: (0..set.len()).collect(),
            cut: 0.0,
        }
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Height and width after resize and crop.
    pub fn size(&self) -> Size {
        self.size
    }

    /// The class of each image, as an index into the data set's classes.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// The group of each image, numbered from 0 in the order of the groups' names.
    pub fn groups(&self) -> &[usize] {
        &self.groups
    }

    /// The colour statistics of each original image.
    pub fn colours(&self) -> &[Colour] {
        &self.colours
    }

    /// The fraction of an image's area that the crop leaves away, on average over the images.
    pub fn cut(&self) -> f64 {
        self.cut
    }

    /// One image after resize and crop: height x width x RGB bytes.
    pub fn pixels(&self, image: usize) -> &[u8] {
        let each = self.each();
        &self.pixels[image * each..][..each]
    }

    /// Fills `out` with the images `indices` as [N, 3, height, width], augmented if asked, and
    /// normalised.
    ///
    /// # Panics
    /// On an index that is not below [`Images::len`].
    pub fn batch(
        &self,
        indices: &[usize],
        augment: Option<(&Augment, Draw)>,
        out: &mut Vec<f32>,
    ) -> Result<(), Error> {
        let each = self.each();
        out.clear();
        out.resize(each * indices.len(), 0.0);
        out.par_chunks_exact_mut(each).zip(indices).try_for_each(|(slot, &index)| {
            let mut pixels = self.pixels(index).to_vec();
            if let Some((augment, draw)) = augment {
                augment.apply(draw, index, &mut pixels, self.size.width as usize);
            }
            let image = RgbImage8::new(pixels, self.size.width, self.size.height)?;
            Ok(self.preprocessing.normalise(&image, slot)?)
        })
    }

    fn each(&self) -> usize {
        self.size.height as usize * self.size.width as usize * 3
    }
}
