//! Stacked ranks, re-compressed: the best approximation of sum_i w_i d_i of a given rank (Eckart &
//! Young 1936), w_i = 1 unless given.
//!
//! PEFT's `svd` does the same on the dense matrix; here it is QR of both stacked factors and the
//! SVD of the core between them. With the rank `exact` the result is task arithmetic's, in as few
//! directions as it has.

use super::delta::Delta;
use super::site::Site;
use super::task_arithmetic;

pub fn merge(site: &Site) -> Result<Delta, String> {
    Ok(Delta::Directions(task_arithmetic::merge(site)?.svd()?))
}
