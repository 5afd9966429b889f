//! What a condensed set, or a module, gives away about the images behind it: distances and a
//! membership test, each with its interval.
//!
//! An audit bounds leakage from below: an attack that fails here says nothing of a better one.
//! Refused: a set or module of another base or other classes, fewer than four shadows, data without
//! a test split.

use serde::Serialize;

mod distances;
mod membership;
mod shadows;
#[cfg(test)]
mod tests;

pub use distances::{Distances, distances};
pub use membership::{Membership, Scores, membership};
pub use shadows::{module_scores, set_scores};

/// A share with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rate {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

/// The middle value; of an even number the lower of both.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}
