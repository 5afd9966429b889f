//! Model Breadcrumbs (Davari & Belilovsky 2023, section 3): task arithmetic of deltas without their
//! largest and smallest values.
//!
//! At each site the `outliers` fraction of largest magnitude of d_i becomes 0 (gamma in the paper).
//! The next `density` fraction stays, and the rest (below beta) becomes 0. The result is sum_i w_i
//! d_i, w_i = 1 unless given (the paper's alpha). With a density of 1 nothing is dropped.

use super::Options;
use super::dare::sum;
use super::delta::Delta;
use super::site::Site;
use super::ties::{nth_largest, share};

pub fn merge(site: &Site, options: &Options) -> Result<Delta, String> {
    let mut parts = site.dense();
    parts.iter_mut().for_each(|part| mask(part, options.density, options.outliers));
    Ok(Delta::rows(&sum(&parts), site.inputs))
}

/// Values of one magnitude stay or go together.
fn mask(values: &mut [f64], density: f64, outliers: f64) {
    if density >= 1.0 {
        return;
    }
    let top = share(values.len(), outliers);
    let outlier = if top == 0 { f64::INFINITY } else { nth_largest(values, top) };
    let least = nth_largest(values, top + share(values.len(), density).max(1));
    values.iter_mut().filter(|v| v.abs() >= outlier || v.abs() < least).for_each(|v| *v = 0.0);
}
