//! CMA-ES: minimises a function of a few numbers without its gradient (Hansen 2016, "The CMA
//! Evolution Strategy: A Tutorial", table 1 and algorithm of appendix A), inside a box. Points
//! outside are moved to its border before they are evaluated (section B.5's simplest repair).
//!
//! Refused: a function that gives no number.

use nalgebra::{DMatrix, DVector};

use crate::Error;
use crate::random::{Purpose, Stream};

/// Where to look.
#[derive(Clone, Debug)]
pub struct Search {
    pub start: Vec<f64>,
    /// Every number stays within -bound and bound.
    pub bound: f64,
    /// The first standard deviation.
    pub deviation: f64,
    /// How often the function may be asked.
    pub evaluations: usize,
    pub seed: u64,
}

/// A point that was asked, and the answer.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Tried {
    pub at: Vec<f64>,
    pub loss: f64,
}

/// All points in the order they were asked; the first is the start.
pub fn minimise(
    search: &Search,
    mut loss: impl FnMut(&[f64]) -> Result<f64, Error>,
) -> Result<Vec<Tried>, Error> {
    let n = search.start.len();
    let mut tried: Vec<Tried> = Vec::with_capacity(search.evaluations);
    let mut ask = |at: Vec<f64>| -> Result<f64, Error> {
        let value = loss(&at)?;
        if !value.is_finite() {
            return Err(Error::Merge {
                what: format!("the loss of the weights {at:?} is no number"),
            });
        }
        tried.push(Tried { at, loss: value });
        Ok(value)
    };
    let inside = |v: f64| v.clamp(-search.bound, search.bound);
    ask(search.start.iter().copied().map(inside).collect())?;

    let dimension = n as f64;
    let offspring = 4 + (3.0 * dimension.ln()).floor() as usize;
    let parents = offspring / 2;
    let raw: Vec<f64> =
        (1..=parents).map(|i| (offspring as f64 / 2.0 + 0.5).ln() - (i as f64).ln()).collect();
    let weights: Vec<f64> = raw.iter().map(|w| w / raw.iter().sum::<f64>()).collect();
    let effective = 1.0 / weights.iter().map(|w| w * w).sum::<f64>();
    let c_sigma = (effective + 2.0) / (dimension + effective + 5.0);
    let damping =
        1.0 + 2.0 * (((effective - 1.0) / (dimension + 1.0)).sqrt() - 1.0).max(0.0) + c_sigma;
    let c_path = (4.0 + effective / dimension) / (dimension + 4.0 + 2.0 * effective / dimension);
    let c_one = 2.0 / ((dimension + 1.3).powi(2) + effective);
    let c_mu = (1.0 - c_one)
        .min(2.0 * (effective - 2.0 + 1.0 / effective) / ((dimension + 2.0).powi(2) + effective));
    let expected =
        dimension.sqrt() * (1.0 - 1.0 / (4.0 * dimension) + 1.0 / (21.0 * dimension * dimension));

    let mut mean = DVector::from_vec(search.start.clone());
    let mut sigma = search.deviation;
    let mut covariance = DMatrix::<f64>::identity(n, n);
    let (mut path, mut path_sigma) = (DVector::zeros(n), DVector::zeros(n));
    let (mut asked, mut generation) = (1, 0u64);
    while asked < search.evaluations {
        let eigen = covariance.clone().symmetric_eigen();
        let roots = eigen.eigenvalues.map(|v| v.max(1e-20).sqrt());
        let (axes, spread) = (&eigen.eigenvectors, DMatrix::from_diagonal(&roots));
        let mut drawn = Vec::with_capacity(offspring);
        for child in 0..offspring.min(search.evaluations - asked) {
            let mut stream = Stream::at(search.seed, Purpose::Search, generation, child as u64);
            let z = DVector::from_fn(n, |_, _| stream.normal());
            let x = (&mean + sigma * (axes * &spread * z)).map(inside);
            let value = ask(x.iter().copied().collect())?;
            drawn.push((value, (x - &mean) / sigma));
            asked += 1;
        }
        if drawn.len() < offspring {
            break;
        }
        drawn.sort_by(|a, b| a.0.total_cmp(&b.0));
        let step =
            weights.iter().zip(&drawn).fold(DVector::zeros(n), |sum, (w, (_, y))| sum + *w * y);
        mean += sigma * &step;
        let whitened =
            axes * DMatrix::from_diagonal(&roots.map(|r| 1.0 / r)) * axes.transpose() * &step;
        path_sigma = (1.0 - c_sigma) * path_sigma
            + (c_sigma * (2.0 - c_sigma) * effective).sqrt() * whitened;
        generation += 1;
        let length = path_sigma.norm() / (1.0 - (1.0 - c_sigma).powi(2 * generation as i32)).sqrt();
        let steady = length < (1.4 + 2.0 / (dimension + 1.0)) * expected;
        let rise = if steady { (c_path * (2.0 - c_path) * effective).sqrt() } else { 0.0 };
        path = (1.0 - c_path) * path + rise * &step;
        let lost = if steady { 0.0 } else { c_path * (2.0 - c_path) };
        let rank_mu = weights
            .iter()
            .zip(&drawn)
            .fold(DMatrix::zeros(n, n), |sum, (w, (_, y))| sum + *w * y * y.transpose());
        covariance = (1.0 - c_one - c_mu + c_one * lost) * covariance
            + c_one * &path * path.transpose()
            + c_mu * rank_mu;
        sigma *= ((c_sigma / damping) * (path_sigma.norm() / expected - 1.0)).exp();
    }
    Ok(tried)
}

/// The best of what was tried, the first of equals.
pub fn best(tried: &[Tried]) -> &Tried {
    tried
        .iter()
        .reduce(|best, next| if next.loss < best.loss { next } else { best })
        .expect("the start was tried")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(start: Vec<f64>, evaluations: usize, seed: u64) -> Search {
        Search { start, bound: 2.0, deviation: 0.3, evaluations, seed }
    }

    #[test]
    fn an_ill_conditioned_valley_is_found() {
        // A rotated ellipsoid of condition 1e4 around (0.7, -1.1, 0.2).
        let loss = |x: &[f64]| {
            let d: Vec<f64> = x.iter().zip([0.7, -1.1, 0.2]).map(|(a, b)| a - b).collect();
            let (u, v) = ((d[0] + d[1]) / 2f64.sqrt(), (d[0] - d[1]) / 2f64.sqrt());
            Ok(u * u + 1e4 * v * v + 30.0 * d[2] * d[2])
        };
        for seed in 0..5 {
            let tried = minimise(&search(vec![0.5; 3], 1500, seed), loss).unwrap();
            let best = best(&tried);
            assert!(best.loss < 1e-9, "seed {seed}: {} at {:?}", best.loss, best.at);
        }
    }

    #[test]
    fn a_minimum_outside_the_box_is_met_at_its_border() {
        let tried = minimise(&search(vec![0.5; 2], 300, 0), |x| {
            Ok((x[0] - 5.0).powi(2) + (x[1] + 0.5).powi(2))
        })
        .unwrap();
        let best = best(&tried);
        assert!(
            (best.at[0] - 2.0).abs() < 1e-3 && (best.at[1] + 0.5).abs() < 1e-2,
            "{:?}",
            best.at
        );
        assert!(tried.iter().all(|t| t.at.iter().all(|v| v.abs() <= 2.0)));
    }

    #[test]
    fn evaluations_are_counted_and_the_seed_decides() {
        let run = |seed, evaluations| {
            minimise(&search(vec![0.5], evaluations, seed), |x| Ok((x[0] - 0.1).powi(2))).unwrap()
        };
        assert_eq!(run(0, 40).len(), 40);
        assert_eq!(run(0, 1).len(), 1);
        assert_eq!(run(3, 40), run(3, 40));
        assert_ne!(run(3, 40), run(4, 40));
        assert_eq!(run(3, 40)[0].at, [0.5]);
        assert!(best(&run(0, 40)).loss < 1e-3);
        let refused = minimise(&search(vec![0.5], 3, 0), |_| Ok(f64::NAN));
        assert!(refused.unwrap_err().to_string().contains("[0.5]"));
    }
}
