//! The one thing that a private set reads from patients: per class the mean of clipped feature
//! rows, released once with noise.
//!
//! Refused: a class with fewer groups than asked for; epsilon or delta out of range. The noise
//! comes from the operating system, never from a seed: whoever knows the seed could take it off
//! again. Sums are exact (integers on a fixed grid), so that no rounding makes one patient count
//! for more than the clip.

mod accounting;
mod gaussian;
mod release;

pub use accounting::{Accounting, Budget, Counts};
pub use gaussian::{delta_of, noise};
pub use release::{FeatureRow, Release, enough_groups, release};
