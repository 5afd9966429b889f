//! Paper-compatible merging of the factors apart, as PEFT's `add_weighted_adapter` and the MedForge
//! paper's code do.
//!
//! A = f(sgn(c_i) sqrt|c_i| A_i) and B = f(sqrt|c_i| B_i) with c_i = w_i alpha_i/rank_i, where f is
//! the sum (`average`, `task-arithmetic`, `dare-linear`) or TIES' election (`ties`, `dare-ties`),
//! after trimming or dropping. B*A then has cross terms B_i A_j, which the sum of deltas does not
//! have. A module without the site takes no part in it, as in PEFT.
//!
//! Refused: modules of unequal rank, and methods that PEFT does not have on factors.

use faer::Mat;

use super::delta::{Delta, matrix, values};
use super::site::{Site, WeightedFactors};
use super::{Method, Options, dare, ties};

pub fn merge(site: &Site, options: &Options) -> Result<Delta, String> {
    let parts: Vec<&WeightedFactors> =
        site.parts.iter().filter(|part| part.b.ncols() > 0).collect();
    let rank = parts[0].b.ncols();
    if let Some(other) = parts.iter().find(|part| part.b.ncols() != rank) {
        let other = other.b.ncols();
        return Err(format!(
            "factors of rank {rank} and {other} cannot be merged apart; merge in the \
             space of deltas"
        ));
    }
    let half = |half: &str, of: &dyn Fn(&WeightedFactors) -> (Mat<f64>, f64)| {
        let one = |part: &&WeightedFactors| {
            let (factor, sign) = of(part);
            let root = sign * part.weight.abs().sqrt();
            let mut values: Vec<f64> = values(&factor).into_iter().map(|v| v * root).collect();
            match options.method {
                Method::Ties => ties::trim(&mut values, options.density),
                Method::DareLinear | Method::DareTies => {
                    dare::drop(&mut values, options.density, &mut site.stream(part, half));
                }
                _ => {}
            }
            values
        };
        let all: Vec<Vec<f64>> = parts.iter().map(one).collect();
        match options.method {
            Method::Average | Method::TaskArithmetic | Method::DareLinear => Ok(dare::sum(&all)),
            Method::Ties | Method::DareTies => Ok(ties::elect(&all)),
            other => Err(format!(
                "{other} merges deltas, not factors apart; merge in the space of deltas"
            )),
        }
    };
    let a = half("A", &|part| (part.a.clone(), part.weight.signum()))?;
    let b = half("B", &|part| (part.b.clone(), 1.0))?;
    Ok(Delta::Product { b: matrix(&b, rank), a: matrix(&a, site.inputs) })
}
