//! DARE (Yu et al. 2024, section 3.1): drop and rescale, before another merge.
//!
//! Each value of w_i d_i stays with probability `density` (1 - p in the paper) and is divided by
//! it; otherwise it becomes 0. Expectations are unchanged. `dare-linear` sums the results.
//! `dare-ties` elects signs and takes the disjoint mean (TIES without its trim). w_i = 1 unless
//! given. With a density of 1 nothing is dropped.

use super::Options;
use super::delta::Delta;
use super::site::Site;
use super::ties::elect;
use crate::random::Stream;

pub fn linear(site: &Site, options: &Options) -> Result<Delta, String> {
    Ok(Delta::rows(&sum(&dropped(site, options)), site.inputs))
}

pub fn ties(site: &Site, options: &Options) -> Result<Delta, String> {
    Ok(Delta::rows(&elect(&dropped(site, options)), site.inputs))
}

/// Drops values at random and rescales the others.
pub fn drop(values: &mut [f64], density: f64, stream: &mut Stream) {
    for value in values {
        *value = if stream.unit() < density { *value / density } else { 0.0 };
    }
}

/// The sum, value by value.
pub fn sum(parts: &[Vec<f64>]) -> Vec<f64> {
    (0..parts.first().map_or(0, Vec::len)).map(|i| parts.iter().map(|p| p[i]).sum()).collect()
}

fn dropped(site: &Site, options: &Options) -> Vec<Vec<f64>> {
    let mut parts = site.dense();
    for (values, part) in parts.iter_mut().zip(&site.parts) {
        drop(values, options.density, &mut site.stream(part, "delta"));
    }
    parts
}
