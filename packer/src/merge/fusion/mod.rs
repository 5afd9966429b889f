//! Fusion (MedForge, arXiv 2502.16055, section 3): one network from several parts. Each site
//! changes by the weighted sum of the parts' deltas, and the weights are found on condensed sets.
//! The loss is the mean cross-entropy over tasks plus 0.05 times the mean absolute weight.
//!
//! A part has one weight, or one weight for each site. Weights are found without gradients, as in
//! the paper (CMA-ES, 40 evaluations), or with the tape's gradient. A part's weight scales its A,
//! so its derivative is the sum of A times the derivative of A.

mod descent;
mod objective;
mod search;
mod settings;
#[cfg(test)]
mod tests;

pub use objective::Objective;
pub use search::search;
pub use settings::{Finder, Found, FusionSettings, Level};
