//! Pixels of a data set's images, decoded, resized and cropped once, kept as bytes; batches are
//! normalised when they are asked for.
//!
//! Refused: images that do not decode (all are named), a file or image over the limits, more images
//! than memory holds.

use std::path::{Path, PathBuf};

use medforge_runtime::image::RgbImage8;
use medforge_runtime::preprocess::{Preprocessing, Size};
use medforge_runtime::words::sentence;
use rayon::prelude::*;

use super::augment::{Augment, Draw};
use super::condensed::Condensed;
use super::dataset::Dataset;
use super::npz;
use super::picture::{Picture, decode, note_lines, size};
use super::progress::Progress;
use crate::{Error, interrupt};

/// Mean and population standard deviation of R, G, B of one original image, in 0..1: what the
/// colour-only floor sees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Colour {
    pub mean: [f64; 3],
    pub sd: [f64; 3],
}

/// Images in memory, in the order they were asked for.
pub struct Images {
    preprocessing: Preprocessing,
    size: Size,
    pixels: Vec<u8>,
    labels: Vec<usize>,
    groups: Vec<usize>,
    colours: Vec<Colour>,
    cut: f64,
}

impl Dataset {
    /// Looks at the headers of the files of the items `indices`, decodes no pixel, and gives the
    /// share of the images' area that the crop of
    /// `preprocessing` leaves away; none where no header says how large an image is.
    ///
    /// # Errors
    /// All files that loading would refuse for what their headers say.
    pub fn headers(
        &self,
        indices: &[usize],
        preprocessing: &Preprocessing,
    ) -> Result<Option<f64>, Error> {
        if self.root.is_file() {
            return Ok(None);
        }
        let progress = Progress::new("headers", indices.len());
        let size = |&index: &usize| {
            interrupt::check()?;
            progress.step();
            Ok(size(&self.root.join(&self.items[index].path)))
        };
        let (mut cuts, mut faults) = (Vec::new(), Vec::new());
        for one in indices.par_iter().map(size).collect::<Result<Vec<_>, Error>>()? {
            match one {
                Ok(size) => {
                    cuts.extend(size.map(|(width, height)| preprocessing.share_cut(width, height)))
                }
                Err(fault) => faults.push(fault),
            }
        }
        Error::all(faults)?;
        Ok((!cuts.is_empty()).then(|| cuts.iter().sum::<f64>() / cuts.len() as f64))
    }
}

impl Images {
    /// Loads the items `indices` of `dataset`, in parallel, with a progress bar if that takes over
    /// two seconds.
    pub fn load(
        dataset: &Dataset,
        indices: &[usize],
        preprocessing: &Preprocessing,
    ) -> Result<Images, Error> {
        preprocessing.check()?;
        let size = preprocessing.output_size();
        let each = size.height as usize * size.width as usize * 3;
        let mut pixels = Vec::new();
        let bytes = each.checked_mul(indices.len());
        if bytes.is_none_or(|bytes| pixels.try_reserve_exact(bytes).is_err()) {
            let what = format!(
                "{} images of {} x {} do not fit into memory",
                indices.len(),
                size.height,
                size.width
            );
            return Err(Error::TooLarge { path: dataset.root.clone(), what });
        }
        pixels.resize(each * indices.len(), 0);

        let progress = Progress::new("images", indices.len());
        let seen =
            |original: &RgbImage8| preprocessing.share_cut(original.width(), original.height());
        let prepare =
            |original: &RgbImage8, path: &Path, slot: &mut [u8]| -> Result<(Colour, f64), Error> {
                let resized = preprocessing.resized(&original.view());
                let resized = resized
                    .map_err(|e| Error::TooLarge { path: path.to_owned(), what: e.to_string() })?;
                slot.copy_from_slice(resized.data());
                progress.step();
                Ok((Colour::of(original.data()), seen(original)))
            };
        let looked: Vec<(Colour, f64)> = if dataset.root.is_file() {
            let paths: Vec<&Path> =
                indices.iter().map(|&i| dataset.items[i].path.as_path()).collect();
            let mut looked = vec![(Colour::of(&[]), 0.0); indices.len()];
            npz::images(&dataset.root, &paths, |chunk| {
                let prepared = chunk.par_iter().map(|(place, original)| {
                    let mut slot = vec![0; each];
                    Ok((*place, prepare(original, &dataset.root, &mut slot)?, slot))
                });
                for (place, found, slot) in prepared.collect::<Result<Vec<_>, Error>>()? {
                    pixels[place * each..][..each].copy_from_slice(&slot);
                    looked[place] = found;
                }
                Ok(())
            })?;
            looked
        } else {
            let slots = pixels.par_chunks_exact_mut(each).zip(indices);
            let looked = slots.map(|(slot, &index)| {
                interrupt::check()?;
                let path = dataset.root.join(&dataset.items[index].path);
                Ok(decode(&path).and_then(|Picture { image, notes }| {
                    Ok((prepare(&image, &path, slot)?, path, notes))
                }))
            });
            // All that do not decode are named, not the first alone.
            let (mut found, mut faults) = (Vec::with_capacity(indices.len()), Vec::new());
            let mut noted: Vec<(PathBuf, Vec<String>)> = Vec::new();
            for one in looked.collect::<Result<Vec<Result<_, Error>>, Error>>()? {
                match one {
                    Ok((one, path, notes)) => {
                        found.push(one);
                        noted.push((path, notes));
                    }
                    Err(fault) => faults.push(fault),
                }
            }
            Error::all(faults)?;
            for line in note_lines(noted.iter().map(|(path, notes)| (&**path, &notes[..]))) {
                log::warn!("{}", sentence(&line));
            }
            found
        };
        let cut = looked.iter().map(|(_, cut)| cut).sum::<f64>() / looked.len().max(1) as f64;

        let mut names: Vec<&str> =
            indices.iter().map(|&i| dataset.items[i].group.as_str()).collect();
        let group_of = |names: &[&str], name: &str| names.partition_point(|n| *n < name);
        names.sort_unstable();
        names.dedup();
        Ok(Images {
            preprocessing: preprocessing.clone(),
            size,
            pixels,
            labels: indices.iter().map(|&i| dataset.items[i].label).collect(),
            groups: indices.iter().map(|&i| group_of(&names, &dataset.items[i].group)).collect(),
            colours: looked.into_iter().map(|(colour, _)| colour).collect(),
            cut,
        })
    }

    /// The images of a condensed set in 8 bits, each a group of its own, with its most probable
    /// class as label.
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

    /// The share of the images' area that the crop leaves away, on average over the images.
    pub fn cut(&self) -> f64 {
        self.cut
    }

    /// One image after resize and crop: height x width x RGB bytes.
    pub fn pixels(&self, image: usize) -> &[u8] {
        let each = self.each();
        &self.pixels[image * each..][..each]
    }

    /// Fills `out` with the images `indices`, normalised, as [N, 3, height, width]; augmented if
    /// asked. Panics on an index that is not below [`Images::len`].
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

impl Colour {
    /// The statistics of RGB bytes. An empty image has none: zeros.
    pub fn of(rgb: &[u8]) -> Colour {
        let (mut sum, mut square) = ([0u64; 3], [0u64; 3]);
        for pixel in rgb.chunks_exact(3) {
            for c in 0..3 {
                let value = u64::from(pixel[c]);
                sum[c] += value;
                square[c] += value * value;
            }
        }
        let count = (rgb.len() / 3).max(1) as f64;
        let mean = sum.map(|s| s as f64 / count);
        let sd = [0, 1, 2]
            .map(|c| (square[c] as f64 / count - mean[c] * mean[c]).max(0.0).sqrt() / 255.0);
        Colour { mean: mean.map(|m| m / 255.0), sd }
    }

    /// Mean R, G, B, then sd R, G, B.
    pub fn features(&self) -> [f64; 6] {
        let ([r, g, b], [sr, sg, sb]) = (self.mean, self.sd);
        [r, g, b, sr, sg, sb]
    }
}
