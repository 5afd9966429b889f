//! The forward pass: images and adapters in, features out.

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::adapter::Adapter;
use super::group::{Group, Output};
use super::stream::{STREAMS, Spread};
use super::transformer::Vit;
use crate::Error;

impl Vit {
    /// The feature of each row: an image (planes `[3, side, side]`, normalised) under an adapter.
    /// With `maps` also where it comes from, which changes no bit of the feature. `cancelled` is
    /// asked before each block.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when it says so, [`Error::Memory`].
    pub fn run(
        &self,
        images: &[Vec<f32>],
        rows: &[(usize, &Adapter)],
        maps: bool,
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<Output>, Error> {
        let all = |rows: &[(usize, &Adapter)], threads| {
            let groups = rows
                .chunks(STREAMS)
                .map(|rows| Group::begin(self, images, rows, maps, threads)?.outputs(cancelled));
            groups.collect::<Result<Vec<_>, _>>().map(|groups| groups.concat())
        };
        let threads = self.threads.as_ref().map_or(1, |(pool, _)| pool.current_num_threads());
        let _room = self.rooms.promise(threads)?;
        match &self.threads {
            None => all(rows, 1),
            Some((pool, Spread::Layers)) => pool.install(|| all(rows, pool.current_num_threads())),
            Some((pool, Spread::Images)) => {
                let of_image =
                    |image| (0..rows.len()).filter(|&row| rows[row].0 == image).collect::<Vec<_>>();
                let found: Result<Vec<_>, Error> = pool.install(|| {
                    let images = (0..images.len()).into_par_iter().map(|image| {
                        let numbers = of_image(image);
                        let rows: Vec<_> = numbers.iter().map(|&row| rows[row]).collect();
                        all(&rows, 1)
                            .map(|found| numbers.into_iter().zip(found).collect::<Vec<_>>())
                    });
                    images.collect()
                });
                let mut numbered = found?.concat();
                numbered.sort_by_key(|(row, _)| *row);
                Ok(numbered.into_iter().map(|(_, output)| output).collect())
            }
        }
    }
}
