//! TIES (Yadav et al. 2023, section 4.2): trim, elect sign, disjoint mean.
//!
//! 1. Trim: of each x_i = w_i d_i the `density` fraction of largest magnitude stays, the rest
//!    becomes 0. The paper trims all parameters of a model at once. Here, as in PEFT, each site is
//!    trimmed alone, so that no site becomes empty.
//! 2. Elect: g = sgn(sum_i x_i), value by value.
//! 3. Mean: sum of the x_i whose sign is g, divided by their number; 0 where there is none.
//!
//! w_i = 1 unless given (the paper's lambda).

use super::Options;
use super::delta::Delta;
use super::site::Site;

pub fn merge(site: &Site, options: &Options) -> Result<Delta, String> {
    let mut parts = site.dense();
    parts.iter_mut().for_each(|part| trim(part, options.density));
    Ok(Delta::rows(&elect(&parts), site.inputs))
}

/// Sets all values to zero but the `density` fraction of largest magnitude. Values as large as the
/// smallest one kept stay too.
pub fn trim(values: &mut [f64], density: f64) {
    let keep = share(values.len(), density).max(1);
    let least = nth_largest(values, keep);
    values.iter_mut().filter(|v| v.abs() < least).for_each(|v| *v = 0.0);
}

/// Sign election and disjoint mean.
pub fn elect(parts: &[Vec<f64>]) -> Vec<f64> {
    let at = |i: usize| {
        let sum: f64 = parts.iter().map(|p| p[i]).sum();
        let elected = parts.iter().map(|p| p[i]).filter(|x| x * sum.signum() > 0.0 && sum != 0.0);
        let (total, count) = elected.fold((0.0, 0u32), |(total, count), x| (total + x, count + 1));
        total / f64::from(count.max(1))
    };
    (0..parts.first().map_or(0, Vec::len)).map(at).collect()
}

/// The number of values in a fraction of `len`.
pub fn share(len: usize, share: f64) -> usize {
    (share * len as f64).round() as usize
}

/// The n-th largest magnitude, n from 1; 0 beyond the last.
pub fn nth_largest(values: &[f64], n: usize) -> f64 {
    if n > values.len() {
        return 0.0;
    }
    let mut magnitudes: Vec<f64> = values.iter().map(|v| v.abs()).collect();
    *magnitudes.select_nth_unstable_by(n - 1, |x, y| y.total_cmp(x)).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trim_keeps_the_largest_magnitudes() {
        let trimmed = |values: &[f64], density| {
            let mut values = values.to_vec();
            trim(&mut values, density);
            values
        };
        let x = [0.5, -3.0, 2.0, 0.0, -2.0, 1.0];
        assert_eq!(trimmed(&x, 1.0 / 6.0), [0.0, -3.0, 0.0, 0.0, 0.0, 0.0]);
        let equals_stay = trimmed(&x, 2.0 / 6.0);
        assert_eq!(equals_stay, [0.0, -3.0, 2.0, 0.0, -2.0, 0.0]);
        assert_eq!(trimmed(&x, 3.0 / 6.0), equals_stay);
        assert_eq!(trimmed(&x, 4.0 / 6.0), [0.0, -3.0, 2.0, 0.0, -2.0, 1.0]);
        assert_eq!(trimmed(&x, 1.0), x);
        assert_eq!(trimmed(&[7.0], 0.1), [7.0]);
    }

    /// By column: 1 - 4 + 6 elects plus, the mean of 1 and 6; -1 - 4 + 2 elects minus; 1 - 2 + 1
    /// elects nothing; zeros have no sign; one value alone counts for one.
    #[test]
    fn elect_averages_what_agrees() {
        let parts =
            [[1.0, -1.0, 1.0, 0.0, 0.0], [-4.0, -4.0, -2.0, 0.0, 0.0], [6.0, 2.0, 1.0, 0.0, 1.5]];
        assert_eq!(elect(&parts.map(Vec::from)), [3.5, -2.5, 0.0, 0.0, 1.5]);
    }
}
