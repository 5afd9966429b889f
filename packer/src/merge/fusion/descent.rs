//! Quasi-Newton descent inside a box.

use nalgebra::{DMatrix, DVector};

use super::super::cma_es::Tried;
use crate::Error;

/// The first deviation of the search without gradients, and of a weight's first step with them.
pub(super) const DEVIATION: f64 = 0.3;
/// The search ends when the step of all weights is shorter than this.
const SHORTEST: f64 = 1e-6;

/// Quasi-Newton steps (BFGS) in a trust region, with every weight between -`bound` and `bound`.
/// `ask` gives the loss and its gradient, and is called at most `evaluations` times. The first step
/// is as long as the deviation of the search without gradients. A step that raises the loss is not
/// taken, but its curvature is used.
pub(super) fn descend(
    start: Vec<f64>,
    bound: f64,
    evaluations: usize,
    mut ask: impl FnMut(&[f64]) -> Result<(f64, Vec<f64>), Error>,
) -> Result<Vec<Tried>, Error> {
    let mut at = DVector::from_vec(start);
    let (mut loss, gradient) = ask(at.as_slice())?;
    let mut gradient = DVector::from_vec(gradient);
    let mut tried = vec![Tried { at: at.as_slice().to_vec(), loss }];
    let mut inverse: Option<DMatrix<f64>> = None;
    let mut radius = DEVIATION * (at.len() as f64).sqrt();
    while tried.len() < evaluations {
        let mut step = match &inverse {
            Some(inverse) => -(inverse * &gradient),
            None => -gradient.normalize() * radius,
        };
        if step.norm() > radius {
            step *= radius / step.norm();
        }
        let next = (&at + step).map(|w| w.clamp(-bound, bound));
        let moved = &next - &at;
        // A gradient of zero has no direction.
        if moved.norm().is_nan() || moved.norm() < SHORTEST {
            break;
        }
        let (value, after) = ask(next.as_slice())?;
        let after = DVector::from_vec(after);
        tried.push(Tried { at: next.as_slice().to_vec(), loss: value });
        let bent = &after - &gradient;
        let curvature = moved.dot(&bent);
        if curvature > 0.0 {
            let before = inverse.unwrap_or_else(|| {
                DMatrix::identity(at.len(), at.len()) * (curvature / bent.dot(&bent))
            });
            let off = DMatrix::identity(at.len(), at.len()) - &moved * bent.transpose() / curvature;
            inverse =
                Some(&off * before * off.transpose() + &moved * moved.transpose() / curvature);
        }
        if value < loss {
            (at, loss, gradient, radius) = (next, value, after, radius * 2.0)
        } else {
            radius = moved.norm() / 3.0
        }
    }
    Ok(tried)
}
