//! Loads the images of a data set.
//!
//! Refused: images that do not decode (all are named), a file or image over the limits, more images
//! than memory holds.

use std::path::{Path, PathBuf};

use medforge_runtime::image::RgbImage8;
use medforge_runtime::preprocess::Preprocessing;
use medforge_runtime::words::sentence;
use rayon::prelude::*;

use super::super::colour::Colour;
use super::super::dataset::Dataset;
use super::super::npz;
use super::super::picture::{Picture, decode, note_lines};
use super::super::progress::Progress;
use super::Images;
use crate::{Error, interrupt};

impl Images {
    /// Loads the items `indices` of `dataset`, in parallel, with a progress bar if that takes over
    /// two seconds.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::Interrupted`], and every image that does not decode.
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

        let preparation =
            Preparation { preprocessing, each, progress: Progress::new("images", indices.len()) };
        let prepared = if dataset.root.is_file() {
            preparation.arrays(dataset, indices, &mut pixels)?
        } else {
            preparation.files(dataset, indices, &mut pixels)?
        };
        drop(preparation);
        let cut =
            prepared.iter().map(|image| image.cut).sum::<f64>() / prepared.len().max(1) as f64;
        Ok(Images {
            preprocessing: preprocessing.clone(),
            size,
            pixels,
            labels: indices.iter().map(|&i| dataset.items[i].label).collect(),
            groups: group_numbers(dataset, indices),
            colours: prepared.into_iter().map(|image| image.colour).collect(),
            cut,
        })
    }
}

/// What is kept of an original image beside its pixels.
#[derive(Clone, Copy)]
struct Prepared {
    colour: Colour,
    /// The fraction of its area that the crop leaves away.
    cut: f64,
}

/// How every image is prepared.
struct Preparation<'a> {
    preprocessing: &'a Preprocessing,
    /// Bytes of one prepared image.
    each: usize,
    progress: Progress,
}

impl Preparation<'_> {
    /// Writes one prepared image to `slot`; `path` is for messages.
    fn one(&self, original: &RgbImage8, path: &Path, slot: &mut [u8]) -> Result<Prepared, Error> {
        let resized = self
            .preprocessing
            .resized(&original.view())
            .map_err(|e| Error::TooLarge { path: path.to_owned(), what: e.to_string() })?;
        slot.copy_from_slice(resized.data());
        self.progress.step();
        let cut = self.preprocessing.share_cut(original.width(), original.height());
        Ok(Prepared { colour: Colour::of(original.data()), cut })
    }

    /// Fills `pixels` with images of a MedMNIST file.
    fn arrays(
        &self,
        dataset: &Dataset,
        indices: &[usize],
        pixels: &mut [u8],
    ) -> Result<Vec<Prepared>, Error> {
        let each = self.each;
        let paths: Vec<&Path> = indices.iter().map(|&i| dataset.items[i].path.as_path()).collect();
        let mut all = vec![Prepared { colour: Colour::of(&[]), cut: 0.0 }; indices.len()];
        npz::images(&dataset.root, &paths, |chunk| {
            let prepared = chunk.par_iter().map(|(place, original)| {
                let mut slot = vec![0; each];
                Ok((*place, self.one(original, &dataset.root, &mut slot)?, slot))
            });
            for (place, found, slot) in prepared.collect::<Result<Vec<_>, Error>>()? {
                pixels[place * each..][..each].copy_from_slice(&slot);
                all[place] = found;
            }
            Ok(())
        })?;
        Ok(all)
    }

    /// Fills `pixels` with image files. Names every one that does not decode, not the first alone.
    fn files(
        &self,
        dataset: &Dataset,
        indices: &[usize],
        pixels: &mut [u8],
    ) -> Result<Vec<Prepared>, Error> {
        let slots = pixels.par_chunks_exact_mut(self.each).zip(indices);
        let tried = slots.map(|(slot, &index)| {
            interrupt::check()?;
            let path = dataset.root.join(&dataset.items[index].path);
            Ok(decode(&path).and_then(|Picture { image, notes }| {
                Ok((self.one(&image, &path, slot)?, path, notes))
            }))
        });
        let (mut all, mut faults) = (Vec::with_capacity(indices.len()), Vec::new());
        let mut noted: Vec<(PathBuf, Vec<String>)> = Vec::new();
        for one in tried.collect::<Result<Vec<Result<_, Error>>, Error>>()? {
            match one {
                Ok((prepared, path, notes)) => {
                    all.push(prepared);
                    noted.push((path, notes));
                }
                Err(fault) => faults.push(fault),
            }
        }
        Error::all(faults)?;
        for line in note_lines(noted.iter().map(|(path, notes)| (&**path, &notes[..]))) {
            log::warn!("{}", sentence(&line));
        }
        Ok(all)
    }
}

/// The group of each item `indices`, numbered from 0 in the order of the groups' names.
fn group_numbers(dataset: &Dataset, indices: &[usize]) -> Vec<usize> {
    let of_item = |i: &usize| dataset.items[*i].group.as_str();
    let mut names: Vec<&str> = indices.iter().map(of_item).collect();
    names.sort_unstable();
    names.dedup();
    let number = |name: &str| names.partition_point(|n| *n < name);
    indices.iter().map(|i| number(of_item(i))).collect()
}
