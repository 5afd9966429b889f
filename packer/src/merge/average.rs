//! Averaging (model soups, Wortsman et al. 2022, section 2, applied to deltas): sum_i w_i d_i with
//! w_i = 1/n unless given.
//!
//! Exact: the factors are stacked.

use super::delta::Delta;
use super::site::Site;
use super::task_arithmetic;

/// The weights, 1/n by default, are the parts' own.
pub fn merge(site: &Site) -> Result<Delta, String> {
    task_arithmetic::merge(site)
}
