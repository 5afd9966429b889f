//! The analytic Gaussian mechanism (Balle & Wang 2018, theorem 8): the smallest noise that gives
//! (epsilon, delta) exactly.
//!
//! Refused: epsilon that is not above zero or over 100, delta outside (0, 1).

use crate::Error;

/// The largest epsilon that is calibrated; beyond it the word privacy means nothing.
pub const LARGEST_EPSILON: f64 = 100.0;

/// The standard deviation of Gaussian noise per unit of L2 sensitivity, so that releasing a vector
/// once is (epsilon, delta) differentially private; rounded up in the last digits, never down.
///
/// # Errors
/// Values that mean nothing, naming the setting.
pub fn noise(epsilon: f64, delta: f64) -> Result<f64, Error> {
    let refuse = |name: &'static str, what: String| Err(Error::Option { name, what });
    if !(epsilon > 0.0 && epsilon <= LARGEST_EPSILON) {
        return refuse(
            "epsilon",
            format!("is {epsilon}; it must be above 0 and at most {LARGEST_EPSILON}"),
        );
    }
    if !(delta > 0.0 && delta < 1.0) {
        return refuse(
            "delta",
            format!("is {delta}; it must lie between 0 and 1, well below 1 / patients"),
        );
    }
    // delta_of falls as the noise grows: bisection between a noise too small and one large enough.
    let mut large = 1.0;
    while delta_of(epsilon, large) > delta {
        large *= 2.0;
    }
    let mut small = 0.0;
    for _ in 0..200 {
        let middle = 0.5 * (small + large);
        if delta_of(epsilon, middle) > delta { small = middle } else { large = middle }
    }
    Ok(large * (1.0 + 1e-12))
}

/// The smallest delta for which noise of standard deviation `sigma` (sensitivity 1) is (epsilon,
/// delta) private.
pub fn delta_of(epsilon: f64, sigma: f64) -> f64 {
    let (a, b) = (0.5 / sigma, epsilon * sigma);
    // e^epsilon Phi(-a - b), the tail taken in logarithms so that neither factor overflows.
    let tail = normal(-a - b);
    let weighted = if tail > 0.0 { libm::exp(epsilon + libm::log(tail)) } else { 0.0 };
    (normal(a - b) - weighted).max(0.0)
}

/// The normal distribution function.
fn normal(x: f64) -> f64 {
    0.5 * libm::erfc(-x / std::f64::consts::SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The privacy profile integrated numerically from its definition: the mass by which N(0, s^2)
    /// exceeds e^epsilon N(1, s^2).
    fn by_integration(epsilon: f64, sigma: f64) -> f64 {
        let density = |x: f64| {
            (-0.5 * (x / sigma).powi(2)).exp() / (sigma * (2.0 * std::f64::consts::PI).sqrt())
        };
        let (low, steps) = (-12.0 * sigma - 1.0, 400_000);
        let width = (24.0 * sigma + 2.0) / f64::from(steps);
        let excess = |i: u32| {
            let x = low + (f64::from(i) + 0.5) * width;
            (density(x - 1.0) - epsilon.exp() * density(x)).max(0.0) * width
        };
        (0..steps).map(excess).sum()
    }

    #[test]
    fn delta_is_that_of_the_definition() {
        for (epsilon, sigma) in [(0.1, 5.0), (1.0, 1.0), (1.0, 3.0), (4.0, 0.6), (8.0, 0.4)] {
            let (ours, exact) = (delta_of(epsilon, sigma), by_integration(epsilon, sigma));
            assert!(
                (ours - exact).abs() < 1e-7 + 1e-4 * exact,
                "{epsilon} {sigma}: {ours} {exact}"
            );
        }
    }

    #[test]
    fn noise_is_just_enough() {
        for epsilon in [0.01, 0.5, 1.0, 8.0, 50.0, 100.0] {
            for delta in [1e-3, 1e-5, 1e-9] {
                let sigma = noise(epsilon, delta).unwrap();
                assert!(delta_of(epsilon, sigma) <= delta, "{epsilon} {delta}");
                assert!(
                    delta_of(epsilon, sigma * 0.999) > delta,
                    "{epsilon} {delta}: {sigma} is more than needed"
                );
            }
        }
    }

    /// The classical bound, sqrt(2 ln(1.25 / delta)) / epsilon for epsilon below 1, is looser.
    #[test]
    fn it_is_tighter_than_the_classical_bound() {
        for (epsilon, delta) in [(0.1f64, 1e-5f64), (0.5, 1e-5), (0.9, 1e-6)] {
            assert!(noise(epsilon, delta).unwrap() < (2.0 * (1.25 / delta).ln()).sqrt() / epsilon);
        }
    }

    #[test]
    fn what_means_nothing_is_refused() {
        for (epsilon, delta) in
            [(0.0, 1e-5), (-1.0, 1e-5), (f64::NAN, 1e-5), (f64::INFINITY, 1e-5), (101.0, 1e-5)]
        {
            assert!(noise(epsilon, delta).unwrap_err().to_string().starts_with("epsilon"));
        }
        for delta in [0.0, 1.0, -1e-5, f64::NAN] {
            assert!(noise(1.0, delta).unwrap_err().to_string().starts_with("delta"));
        }
    }
}
