//! Merging.

use std::collections::BTreeMap;

use crate::lora::Factors;

pub mod cma_es;
pub mod compose;
pub mod fusion;
mod judged;
pub mod mixture;
pub mod model;
pub mod routed;

/// By site, factors of a change B * A (scale 1).
pub type Sites = BTreeMap<String, Factors>;
pub use judged::Task;

#[cfg(test)]
pub(crate) mod tests;
