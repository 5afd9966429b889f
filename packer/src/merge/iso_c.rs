//! Iso-C (Marczak et al. 2025, section 4.1): task arithmetic with an even spectrum.
//!
//! sum_i w_i d_i = U S V^T becomes m U V^T with m the mean singular value, w_i = 1 unless given.
//! The mean, U and V cover the R directions of the sum (its numerical rank), as in Panariello et
//! al. 2025 in core space. A sum of low-rank deltas has no other directions, and any more would be
//! arbitrary. A rank below R keeps the directions that were strongest before.

use super::delta::{Delta, Svd};
use super::site::Site;
use super::task_arithmetic;

pub fn merge(site: &Site) -> Result<Delta, String> {
    let Svd { u, mut s, v } = task_arithmetic::merge(site)?.svd()?;
    let mean = s.iter().sum::<f64>() / s.len().max(1) as f64;
    s.fill(mean);
    Ok(Delta::Directions(Svd { u, s, v }))
}
