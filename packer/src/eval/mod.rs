//! Evaluation of a module on images it never saw.
//!
//! It has metrics with 95 % intervals, the confusion matrix, two floors beside them, and results
//! told apart by what else is known of the images. Predictions that are no probabilities are
//! refused. Where the data allow no interval, the evaluation says why.

mod bench;
pub mod bootstrap;
mod details;
mod estimate;
mod evaluation;
mod explain;
mod floor;
pub mod floors;
pub mod measured;
pub mod metrics;
mod page;
mod subgroups;
mod table;
#[cfg(test)]
mod tests;

pub use bench::{Bench, Results, check_classes};
pub use details::Details;
pub use estimate::Estimate;
pub use evaluation::{Evaluation, Intervals, Subject};
pub use explain::{Explained, GREY};
pub use floor::{Floor, FloorName};
pub use metrics::Metric;
pub use page::Evaluated;
pub use subgroups::{Division, Gap, Subgroup, Subgroups};
