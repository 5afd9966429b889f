//! The methods of [`crate::merge`] as a forge uses them. They are built from the settings that an
//! item records, and give the same bytes each time.
//!
//! Everything runs on the processor: items are rebuilt elsewhere, and GPUs of different makers
//! round differently. Refused: settings that no command line gives, RegMean where a contributor
//! gave no Gram matrices, two members for one task.

mod files;
mod free;
mod fused;
mod merging;
mod mixed;
mod mixture_step;
mod mixture_weights;
mod recipes;
mod routed;
mod settings;
mod tasks;
#[cfg(test)]
pub(super) mod tests;

pub use recipes::{Recipe, Recipes};
pub use settings::{Method, Mixture, RecipeSettings, SearchSets};
pub(super) use tasks::{borrowed, task_data};
