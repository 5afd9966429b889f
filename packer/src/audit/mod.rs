//! How much a condensed set, or a module, reveals about its training images: distances and a
//! membership test, each with its interval.
//!
//! An audit bounds leakage from below. An attack that fails here says nothing about better ones.
//! Refused: a set or module of another base or other classes, fewer than four shadows, data without
//! a test split.

mod distances;
mod membership;
mod rate;
mod shadows;
#[cfg(test)]
mod tests;

pub use distances::{Distances, distances};
pub use membership::{Membership, Scores, membership};
pub use rate::Rate;
use rate::median;
pub use shadows::{Shadows, module_scores, set_scores};
