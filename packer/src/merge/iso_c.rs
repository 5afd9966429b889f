//! Iso-C (Marczak et al. 2025, section 4.1): task arithmetic with an even spectrum.
//!
//! sum_i w_i d_i = U S V^T becomes m U V^T with m the mean singular value, w_i = 1 unless given.
//! The mean and U, V go over the R directions that the sum has (its numerical rank), as Panariello
//! et al. 2025 do in core space: a sum of low-rank deltas has no other directions, and any that
//! were added would be arbitrary. A rank below R keeps the directions that were strongest before.

use super::delta::{Delta, Svd};
use super::site::Site;
use super::task_arithmetic;

pub fn merge(site: &Site) -> Result<Delta, String> {
    let Svd { u, mut s, v } = task_arithmetic::merge(site)?.svd()?;
    let mean = s.iter().sum::<f64>() / s.len().max(1) as f64;
    s.fill(mean);
    Ok(Delta::Directions(Svd { u, s, v }))
}
