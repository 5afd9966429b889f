//! Merging of LoRA modules: several modules of one base become one change of its weights, or a
//! model of several networks.
//!
//! Methods without data have a file each. Methods that use condensed sets (fusion, mixture, routed)
//! start in [`compose`].
//!
//! Every method without data works site by site on the deltas s*B*A (s = alpha/rank), times the
//! module's weight. If a module does not have a site, its delta is zero there. With
//! [`Space::Factors`] A and B are merged apart, as PEFT does, for comparison with published
//! figures. Modules are sorted by their factors' digests first, so the caller's order does not
//! count. All of it is linear algebra on small matrices (rank x rank, hidden x hidden) in f64. It
//! runs on the host, whatever the device.
//!
//! DoRA modules mix but do not fuse, since the lengths of their rows do not add up. A single DoRA
//! module with weight 1 comes out unchanged.
//!
//! Refused, naming module and site: DoRA modules beside others, another base, image size or
//! preprocessing, shapes that do not fit, values and weights that are not finite, numbers out of
//! range.

mod average;
mod breadcrumbs;
pub mod cma_es;
pub mod compose;
#[cfg(test)]
pub(crate) mod composition_tests;
mod core_space;
mod dare;
mod della;
mod delta;
mod factors;
pub mod folder;
pub mod fusion;
mod grams;
mod iso_c;
mod judged;
mod knots;
mod merged;
pub mod mixture;
pub mod model;
mod options;
pub mod overlap;
mod page;
mod regmean;
pub mod routed;
mod site;
mod sites;
mod svd;
mod task_arithmetic;
#[cfg(test)]
mod tests;
mod ties;
mod tsv;

pub use grams::Grams;
pub(crate) use judged::LEAST;
pub use judged::Task;
pub use merged::{Merged, merge};
pub use options::{Method, Options, Rank, Space};
pub use page::page;
pub use sites::{Sites, one_rank};
