//! The search for a fusion's weights.

use super::super::cma_es;
use super::descent::{DEVIATION, descend};
use super::objective::Objective;
use super::settings::{Finder, Found, FusionSettings};
use crate::Error;
use crate::device::Device;

/// The weight that every part starts with.
pub(super) const START: f64 = 0.5;

/// Finds the weights of `objective`, starting from one half for every part. `step` is called with
/// the number of evaluations done.
///
/// # Errors
/// [`Error::Merge`] for a loss that is not finite; errors of the device; [`Error::Interrupted`].
pub fn search<D: Device + 'static>(
    objective: &Objective<D>,
    settings: &FusionSettings,
    mut step: impl FnMut(usize),
) -> Result<Found, Error> {
    let start = vec![START; objective.weights()];
    let bound = settings.level.bound();
    let mut done = 0;
    let trace = match settings.finder {
        Finder::CmaEs => {
            let evaluations = settings.evaluations;
            let search = cma_es::Search {
                start,
                bound,
                deviation: DEVIATION,
                evaluations,
                seed: settings.seed,
            };
            cma_es::minimise(&search, |w| {
                let loss = objective.loss(w)?;
                done += 1;
                step(done);
                Ok(loss)
            })?
        }
        Finder::Gradient => {
            let ask = |w: &[f64]| {
                let answer = objective.gradient(w)?;
                done += 1;
                step(done);
                Ok(answer)
            };
            descend(start, bound, settings.evaluations, ask)?
        }
    };
    let best = cma_es::best(&trace);
    Ok(Found { weights: best.at.clone(), loss: best.loss, trace: trace.clone() })
}
