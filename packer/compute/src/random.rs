//! Random numbers that depend on nothing but their address: (seed, purpose, a, b).
//!
//! Each address has its own ChaCha8 stream. So work may run in any order, on any number of threads,
//! or resume half-way, and still draw the same numbers. Conversions are written out here because
//! those of the `rand` crate may change with its version.

use crate::Error;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What a stream is for; two purposes never share numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    Augment = 1,
    HoldOut = 2,
    Patient = 3,
    Tissue = 4,
    Camera = 5,
    Order = 6,
    Initial = 7,
    View = 8,
    Noise = 9,
    Cluster = 10,
    Network = 11,
    Subset = 12,
    Search = 13,
    Merge = 14,
    Dropout = 15,
}

/// One stream of random numbers.
pub struct Stream(ChaCha8Rng);

impl Stream {
    /// The stream at an address; `a` and `b` are indices such as epoch and image.
    pub fn at(seed: u64, purpose: Purpose, a: u64, b: u64) -> Self {
        let mut key = [0u8; 32];
        for (slot, word) in key.chunks_exact_mut(8).zip([seed, purpose as u64, a, b]) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        Stream(ChaCha8Rng::from_seed(key))
    }

    /// A stream that nobody can draw again: its key comes from the operating system and is not
    /// kept.
    pub fn from_system() -> Result<Self, Error> {
        let mut key = [0u8; 32];
        getrandom::fill(&mut key).map_err(|e| Error::Random { what: e.to_string() })?;
        Ok(Stream(ChaCha8Rng::from_seed(key)))
    }

    /// Uniform in [0, 1), 53 bits.
    pub fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// 64 random bits.
    pub fn word(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in [low, high).
    pub fn range(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// True with probability one half.
    pub fn coin(&mut self) -> bool {
        self.0.next_u32() & 1 == 1
    }

    /// Uniform in 0..n (n at least 1), by multiplication: the bias is below n / 2^64.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.0.next_u64()) * n as u128) >> 64) as usize
    }

    /// Normal with mean 0 and standard deviation 1 (Box-Muller, with libm's own logarithm and
    /// cosine: the same on every platform).
    pub fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(-2.0 * libm::log(1.0 - self.unit()));
        radius * libm::cos(std::f64::consts::TAU * self.unit())
    }

    /// Puts `items` in random order (Fisher-Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_independent_and_repeatable() {
        let draw = |seed, purpose, a, b| Stream::at(seed, purpose, a, b).unit();
        assert_eq!(draw(1, Purpose::Augment, 2, 3), draw(1, Purpose::Augment, 2, 3));
        let all = [
            draw(1, Purpose::Augment, 2, 3),
            draw(2, Purpose::Augment, 2, 3),
            draw(1, Purpose::HoldOut, 2, 3),
            draw(1, Purpose::Augment, 3, 2),
        ];
        for i in 0..all.len() {
            for j in 0..i {
                assert_ne!(all[i], all[j]);
            }
        }
    }

    #[test]
    fn moments_are_those_of_their_distributions() {
        let mut stream = Stream::at(0, Purpose::Camera, 0, 0);
        let n = 20_000;
        let (mut mean, mut square, mut uniform) = (0.0, 0.0, 0.0);
        for _ in 0..n {
            let x = stream.normal();
            mean += x / f64::from(n);
            square += x * x / f64::from(n);
            uniform += stream.range(2.0, 4.0) / f64::from(n);
        }
        // Five standard errors of each estimate.
        assert!(mean.abs() < 5.0 / 141.0, "{mean}");
        assert!((square - 1.0).abs() < 5.0 * 1.414 / 141.0, "{square}");
        assert!((uniform - 3.0).abs() < 5.0 * 0.577 / 141.0, "{uniform}");
    }

    #[test]
    fn a_shuffle_keeps_every_item() {
        let mut items: Vec<usize> = (0..100).collect();
        Stream::at(0, Purpose::HoldOut, 0, 0).shuffle(&mut items);
        assert_ne!(items, (0..100).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..100).collect::<Vec<_>>());
    }
}
