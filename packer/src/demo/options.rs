//! The size of a demonstration.

/// The size of a demonstration, and its random numbers.
#[derive(Clone, Debug)]
pub struct Options {
    /// Images of each hospital. 30 % of its patients are held out.
    pub images: usize,
    pub epochs: usize,
    pub seed: u64,
}
