//! CMA-ES: minimises a function of a few numbers without its gradient (Hansen 2016, "The CMA
//! Evolution Strategy: A Tutorial", table 1 and algorithm of appendix A), inside a box. A point
//! outside the box is moved to its border before it is evaluated (the simplest repair of section
//! B.5).
//!
//! Refused: a function whose value is not a number.

use nalgebra::{DMatrix, DVector};

use self::state::State;
use crate::Error;
use crate::random::{Purpose, Stream};

mod state;

/// The box, the start and the length of a search.
#[derive(Clone, Debug)]
pub struct Search {
    pub start: Vec<f64>,
    /// Every number stays within -bound and bound.
    pub bound: f64,
    /// The first standard deviation.
    pub deviation: f64,
    /// How often the function may be evaluated.
    pub evaluations: usize,
    pub seed: u64,
}

/// A point that was evaluated, and its loss.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Tried {
    pub at: Vec<f64>,
    pub loss: f64,
}

/// Minimises `loss`. Gives all points in the order in which they were evaluated; the first is the
/// start.
///
/// # Errors
/// [`Error::Merge`] for a loss that is not finite, and the errors of `loss`.
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

    let mut state = State::new(&search.start, search.deviation);
    let mut asked = 1;
    while asked < search.evaluations {
        let mut drawn = Vec::with_capacity(state.strategy.offspring);
        let (axes, roots) = state.axes();
        for child in 0..state.strategy.offspring.min(search.evaluations - asked) {
            let mut stream =
                Stream::at(search.seed, Purpose::Search, state.generation, child as u64);
            let z = DVector::from_fn(n, |_, _| stream.normal());
            let spread = DMatrix::from_diagonal(&roots);
            let x = (&state.mean + state.sigma * (&axes * &spread * z)).map(inside);
            let value = ask(x.iter().copied().collect())?;
            drawn.push((value, (x - &state.mean) / state.sigma));
            asked += 1;
        }
        if drawn.len() < state.strategy.offspring {
            break;
        }
        drawn.sort_by(|a, b| a.0.total_cmp(&b.0));
        state.update(&drawn, &axes, &roots);
    }
    Ok(tried)
}

/// The point with the least loss; the first of them if several are equal.
pub fn best(tried: &[Tried]) -> &Tried {
    tried
        .iter()
        .reduce(|best, next| if next.loss < best.loss { next } else { best })
        .expect("the start was tried")
}

#[cfg(test)]
mod tests;
