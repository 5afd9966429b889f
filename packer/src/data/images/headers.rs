//! Looks at the headers of a data set's images, before they are loaded.

use medforge_runtime::preprocess::Preprocessing;
use rayon::prelude::*;

use super::super::dataset::Dataset;
use super::super::picture;
use super::super::progress::Progress;
use crate::{Error, interrupt};

impl Dataset {
    /// Looks at the headers of the items `indices`, and gives the fraction of the images' area that
    /// the crop of `preprocessing` leaves away. None where no header says how large an image is. No
    /// pixel is decoded.
    ///
    /// # Errors
    /// Every file whose header says that loading would refuse it.
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
            Ok(picture::size(&self.root.join(&self.items[index].path)))
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
