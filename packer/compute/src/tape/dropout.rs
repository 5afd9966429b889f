//! Dropout on what goes into a low-rank branch (Srivastava et al. 2014), as PEFT's `lora_dropout`:
//! in training alone.

use rayon::prelude::*;

use crate::random::{Purpose, Stream};

/// Which values are dropped: a matter of seed, step, site and image, whatever the device and
/// however a batch is parted.
#[derive(Clone, Copy, Debug)]
pub struct Dropout {
    /// The probability of zero, below 1; values that stay are divided by that of staying.
    pub rate: f64,
    pub seed: u64,
    pub step: u64,
    /// The site's number among those of the training.
    pub site: u64,
    /// The first image's place in its batch, and how many images the rows are of, as many rows
    /// each.
    pub first: u64,
    pub images: usize,
}

impl Dropout {
    /// What each value of `rows` x `columns` is multiplied with: zero or 1 / (1 - rate).
    pub fn mask(&self, rows: usize, columns: usize) -> Vec<f32> {
        let stays = (1.0 / (1.0 - self.rate)) as f32;
        let mut mask = vec![0.0; rows * columns];
        let image = |(i, values): (usize, &mut [f32])| {
            let place = self.site << 32 | (self.first + i as u64);
            let mut stream = Stream::at(self.seed, Purpose::Dropout, self.step, place);
            values
                .iter_mut()
                .for_each(|v| *v = if stream.unit() < self.rate { 0.0 } else { stays });
        };
        mask.par_chunks_mut((rows / self.images * columns).max(1)).enumerate().for_each(image);
        mask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DROPOUT: Dropout = Dropout { rate: 0.25, seed: 3, step: 5, site: 2, first: 0, images: 8 };

    #[test]
    fn as_many_values_are_dropped_as_the_rate_says_and_the_mean_stays() {
        let mask = DROPOUT.mask(8 * 50, 50);
        let dropped = mask.iter().filter(|v| **v == 0.0).count() as f64 / mask.len() as f64;
        // Five standard errors of 20,000 draws.
        assert!((dropped - 0.25).abs() < 5.0 * (0.25f64 * 0.75 / 20_000.0).sqrt(), "{dropped}");
        assert!(mask.iter().all(|v| *v == 0.0 || *v == (1.0f64 / 0.75) as f32));
    }

    #[test]
    fn the_mask_knows_seed_step_site_and_image_and_not_the_parts_of_a_batch() {
        let whole = DROPOUT.mask(8 * 3, 7);
        assert_eq!(whole, DROPOUT.mask(8 * 3, 7));
        let (first, rest) =
            (Dropout { images: 3, ..DROPOUT }, Dropout { first: 3, images: 5, ..DROPOUT });
        assert_eq!([first.mask(3 * 3, 7), rest.mask(5 * 3, 7)].concat(), whole);
        for other in [
            Dropout { seed: 4, ..DROPOUT },
            Dropout { step: 6, ..DROPOUT },
            Dropout { site: 3, ..DROPOUT },
            Dropout { first: 1, ..DROPOUT },
        ] {
            assert_ne!(other.mask(8 * 3, 7), whole, "{other:?}");
        }
        let images: Vec<_> = whole.chunks(3 * 7).collect();
        assert!(images.windows(2).all(|pair| pair[0] != pair[1]));
    }
}
