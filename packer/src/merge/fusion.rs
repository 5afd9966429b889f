//! Fusion (MedForge, arXiv 2502.16055, section 3): one network whose sites change by the weighted
//! sum of the parts' deltas, the weights found on condensed sets. The loss is the mean over tasks
//! of the cross-entropy plus 0.05 times the mean size of the weights.
//!
//! Weights are one a part, or one a part and site. They are found without gradients, as in the
//! paper (CMA-ES, 40 evaluations), or with the tape's: the weight of a part scales its A, so its
//! derivative is that of A times A, summed.

use std::collections::{BTreeMap, BTreeSet};

use nalgebra::{DMatrix, DVector};
use serde::{Deserialize, Serialize};

use super::Sites;
use super::cma_es::{self, Tried};
use super::judged::{self, Task, cross_entropy};
use crate::base::{Vit, Weights, forward};
use crate::device::Device;
use crate::lora::{Factors, dora, stack};
use crate::tape::{LowRank, Tape, Tensor, Var};
use crate::{Error, interrupt, predict};

/// How many weights there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// One a part.
    Whole,
    /// One a part and site.
    Site,
}

/// How weights are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Finder {
    /// Without gradients.
    CmaEs,
    /// Quasi-Newton steps with the tape's gradient.
    Gradient,
}

/// How to search.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub level: Level,
    pub finder: Finder,
    /// How often the loss is computed (with [`Finder::Gradient`], each time with its gradient).
    pub evaluations: usize,
    pub seed: u64,
}

/// Weights, and how they were found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    /// By part, then by site with [`Level::Site`].
    pub weights: Vec<f64>,
    pub loss: f64,
    pub trace: Vec<Tried>,
}

/// The weight that every part starts with.
const START: f64 = 0.5;
/// The penalty on the weights' mean size.
const PENALTY: f64 = 0.05;
/// The first deviation of the search without gradients, and of a weight's first step with them.
const DEVIATION: f64 = 0.3;
/// A shorter step of all weights ends the search.
const SHORTEST: f64 = 1e-6;

impl Level {
    /// The largest size of a weight.
    fn bound(self) -> f64 {
        match self {
            Level::Whole => 1.5,
            Level::Site => 2.0,
        }
    }
}

/// The loss of weights on condensed sets.
pub struct Objective<'a, D: Device> {
    device: &'a D,
    frozen: Weights<D>,
    parts: &'a [Sites],
    sites: Vec<&'a str>,
    tasks: &'a [Task<'a>],
    /// By task, normalised.
    pixels: Vec<Vec<f32>>,
    level: Level,
}

impl<'a, D: Device + 'static> Objective<'a, D> {
    /// The loss of `parts` on `tasks`.
    ///
    /// # Errors
    /// [`Error::Merge`] for DoRA modules, and sets that do not fit the base, the heads or one
    /// another.
    pub fn new(
        device: &'a D,
        vit: &Vit,
        parts: &'a [Sites],
        tasks: &'a [Task<'a>],
        level: Level,
    ) -> Result<Self, Error> {
        if let Some(part) = parts.iter().position(dora::has_magnitudes) {
            return Err(dora::unfusable(&format!("part {}", part + 1)));
        }
        let size = judged::check(tasks, &vit.digest())?;
        let sites: BTreeSet<&str> =
            parts.iter().flat_map(|p| p.keys().map(String::as_str)).collect();
        Ok(Objective {
            device,
            frozen: Weights::frozen(device, vit, size),
            parts,
            sites: sites.into_iter().collect(),
            tasks,
            pixels: tasks.iter().map(|t| t.set.normalised()).collect(),
            level,
        })
    }

    /// How many weights there are.
    pub fn weights(&self) -> usize {
        self.parts.len() * self.per_part()
    }

    /// The weighted sum of the parts, exact.
    pub fn sum(&self, weights: &[f64]) -> Sites {
        let at = |(place, site): (usize, &&str)| {
            let parts: Vec<(f64, &Factors)> =
                self.present(site).map(|(i, f)| (weights[self.place(i, place)], f)).collect();
            ((*site).to_owned(), stack(&parts))
        };
        self.sites.iter().enumerate().map(at).collect()
    }

    /// The loss of `weights`.
    pub fn loss(&self, weights: &[f64]) -> Result<f64, Error> {
        Ok(self.run(weights, false)?.0)
    }

    /// The loss of `weights` and its derivative to each.
    pub fn gradient(&self, weights: &[f64]) -> Result<(f64, Vec<f64>), Error> {
        self.run(weights, true)
    }

    fn per_part(&self) -> usize {
        match self.level {
            Level::Whole => 1,
            Level::Site => self.sites.len(),
        }
    }

    fn place(&self, part: usize, site: usize) -> usize {
        part * self.per_part() + if self.level == Level::Site { site } else { 0 }
    }

    fn present(&self, site: &str) -> impl Iterator<Item = (usize, &'a Factors)> {
        self.parts.iter().enumerate().filter_map(move |(i, part)| Some((i, part.get(site)?)))
    }

    fn run(&self, weights: &[f64], wanted: bool) -> Result<(f64, Vec<f64>), Error> {
        let n = weights.len() as f64;
        let mut loss = PENALTY * weights.iter().map(|w| w.abs()).sum::<f64>() / n;
        let mut gradient: Vec<f64> = weights
            .iter()
            .map(|w| PENALTY * if *w == 0.0 { 0.0 } else { w.signum() } / n)
            .collect();
        let sum = self.sum(weights);
        let image = 3 * self.frozen.image_size * self.frozen.image_size;
        let batch = predict::batch(self.device, &self.frozen.config, self.frozen.image_size);
        for (task, pixels) in self.tasks.iter().zip(&self.pixels) {
            let classes = task.head.classes.len();
            let images = pixels.len() / image;
            for (pixels, labels) in
                pixels.chunks(batch * image).zip(task.set.labels.chunks(batch * classes))
            {
                interrupt::check()?;
                let share = (pixels.len() / image) as f64 / (images * self.tasks.len()) as f64;
                let tape = Tape::new(self.device);
                let upload = |t: &medforge_runtime::tensors::Tensor| {
                    Tensor::new(self.device, &t.data, t.shape[0], t.shape[1])
                };
                let branch = |(site, f): (&String, &Factors)| {
                    let a = upload(&f.a);
                    let a = if wanted { tape.parameter(a) } else { Var::constant(a) };
                    (site.clone(), LowRank::plain(a, Var::constant(upload(&f.b)), 1.0))
                };
                let branches: BTreeMap<String, LowRank<D>> = sum.iter().map(branch).collect();
                let input =
                    Var::constant(Tensor::frozen(self.device, pixels, pixels.len() / image, image));
                let feature = forward(&tape, &self.frozen, &branches, self.device, &input);
                let rows = self.device.download(&feature.value.buffer)?;
                let (value, slope) = cross_entropy(task.head, &rows, labels);
                loss += share * value;
                if wanted {
                    let slope: Vec<f32> = slope.iter().map(|v| (share * v) as f32).collect();
                    let gradients = tape.backward_from([(&feature, self.device.upload(&slope))]);
                    for (place, site) in self.sites.iter().enumerate() {
                        let Some(buffer) = gradients.of(&branches[*site].a) else { continue };
                        let da = self.device.download(buffer)?;
                        let mut rest = da.as_slice();
                        for (part, factors) in self.present(site) {
                            let (own, next) = rest.split_at(factors.a.data.len());
                            rest = next;
                            let pairs = own.iter().zip(&factors.a.data);
                            gradient[self.place(part, place)] +=
                                pairs.map(|(d, a)| f64::from(*d) * f64::from(*a)).sum::<f64>();
                        }
                    }
                }
            }
        }
        if loss.is_finite() && gradient.iter().all(|g| g.is_finite()) {
            Ok((loss, gradient))
        } else {
            Err(Error::Merge { what: format!("the loss of the weights {weights:?} is no number") })
        }
    }
}

/// Finds weights of `objective` from one half for every part; `step` is told how many evaluations
/// are done.
pub fn search<D: Device + 'static>(
    objective: &Objective<D>,
    settings: &Settings,
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

/// Quasi-Newton steps (BFGS) in a trust region inside the box of `bound`, with at most
/// `evaluations` of `ask`. Its first step is as long as the deviation of the search without
/// gradients; a step that goes up is not taken, but what it says of the curvature is kept.
fn descend(
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
        let (value, slope) = ask(next.as_slice())?;
        let slope = DVector::from_vec(slope);
        tried.push(Tried { at: next.as_slice().to_vec(), loss: value });
        let bent = &slope - &gradient;
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
            (at, loss, gradient, radius) = (next, value, slope, radius * 2.0)
        } else {
            radius = moved.norm() / 3.0
        }
    }
    Ok(tried)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Condensed;
    use crate::device::cpu::Cpu;
    use crate::gpu_variants::variants;
    use crate::merge::composition_tests::{parts, setting, tasks};

    #[test]
    fn the_gradient_is_that_of_central_differences_on_every_device() {
        let (vit, modules, sets) = setting();
        let (parts, tasks) = (parts(&modules), tasks(&modules, &sets));
        for level in [Level::Whole, Level::Site] {
            let exact = Cpu::<f64>::poisoned();
            let objective = Objective::new(&exact, &vit, &parts, &tasks, level).unwrap();
            let weights: Vec<f64> =
                (0..objective.weights()).map(|i| 0.7 - 0.3 * i as f64).collect();
            let (loss, gradient) = objective.gradient(&weights).unwrap();
            assert!((loss - objective.loss(&weights).unwrap()).abs() < 1e-12);
            let mut moved = 0;
            for i in 0..weights.len() {
                let shifted = |by: f64| {
                    let mut weights = weights.clone();
                    weights[i] += by;
                    objective.loss(&weights).unwrap()
                };
                let difference = (shifted(1e-3) - shifted(-1e-3)) / 2e-3;
                let error = (gradient[i] - difference).abs();
                assert!(
                    error < 1e-4 * (1.0 + difference.abs()),
                    "weight {i}: {} against {difference}",
                    gradient[i]
                );
                let penalty = PENALTY * weights[i].signum() / weights.len() as f64;
                moved += usize::from((difference - penalty).abs() > 1e-5);
            }
            assert!(moved * 2 > weights.len(), "hardly a weight changes anything");
            let close = |(found, slopes): (f64, Vec<f64>), tolerance: f64| {
                assert!((found - loss).abs() < tolerance, "{found} {loss}");
                for (f, e) in slopes.iter().zip(&gradient) {
                    assert!((f - e).abs() < tolerance * (1.0 + e.abs()), "{f} {e}");
                }
            };
            let cpu = Cpu::<f32>::poisoned();
            close(
                Objective::new(&cpu, &vit, &parts, &tasks, level)
                    .unwrap()
                    .gradient(&weights)
                    .unwrap(),
                1e-4,
            );
            for variant in variants().iter().filter(|v| !v.half) {
                close(
                    Objective::new(&variant.gpu, &vit, &parts, &tasks, level)
                        .unwrap()
                        .gradient(&weights)
                        .unwrap(),
                    1e-3,
                );
            }
        }
    }

    #[test]
    fn a_part_with_weight_one_is_itself_and_both_finders_go_down() {
        let (vit, modules, sets) = setting();
        let (parts, tasks) = (parts(&modules), tasks(&modules, &sets));
        let device = Cpu::<f32>::poisoned();
        let objective = Objective::new(&device, &vit, &parts[..1], &tasks, Level::Whole).unwrap();
        for (site, factors) in objective.sum(&[1.0]) {
            assert_eq!(
                (factors.a.data, factors.b.data),
                (parts[0][&site].a.data.clone(), parts[0][&site].b.data.clone())
            );
        }
        let objective = Objective::new(&device, &vit, &parts, &tasks, Level::Whole).unwrap();
        let start = objective.loss(&[START, START]).unwrap();
        let run = |finder, evaluations| {
            let settings = Settings { level: Level::Whole, finder, evaluations, seed: 1 };
            search(&objective, &settings, |_| ()).unwrap()
        };
        let (free, steep) = (run(Finder::CmaEs, 60), run(Finder::Gradient, 12));
        assert!(free.loss < start && steep.loss < start, "{} {} {start}", free.loss, steep.loss);
        assert_eq!((free.trace.len(), free.trace[0].loss), (60, start));
        assert!(
            steep.trace.len() <= 12 && steep.loss < free.loss + 1e-3,
            "{} {}",
            steep.loss,
            free.loss
        );
        assert_eq!(free, run(Finder::CmaEs, 60));
    }

    #[test]
    fn few_steps_find_the_bottom_of_a_valley_and_stay_in_the_box() {
        // A valley thirty times as steep across as along, its bottom inside the box and outside.
        for (bottom, expected) in [([0.2, -0.7], [0.2, -0.7]), ([0.4, 9.0], [0.4, 1.5])] {
            let ask = |w: &[f64]| {
                let (x, y) = (w[0] - bottom[0], w[1] - bottom[1]);
                Ok((15.0 * x * x + 0.5 * y * y, vec![30.0 * x, y]))
            };
            let tried = descend(vec![0.5, 0.5], 1.5, 15, ask).unwrap();
            assert!(tried.len() <= 15 && tried.iter().all(|t| t.at.iter().all(|w| w.abs() <= 1.5)));
            let best = cma_es::best(&tried);
            let off = (best.at[0] - expected[0]).abs().max((best.at[1] - expected[1]).abs());
            assert!(off < 1e-2, "{:?} {expected:?}", best.at);
        }
        let flat = descend(vec![0.5], 1.5, 9, |_| Ok((1.0, vec![0.0]))).unwrap();
        assert_eq!(flat.len(), 1);
    }

    #[test]
    fn sets_that_do_not_fit_are_refused_by_name() {
        let (vit, modules, sets) = setting();
        let parts = parts(&modules);
        let refused = |change: &dyn Fn(&mut Condensed)| {
            let mut sets = sets.clone();
            change(&mut sets[1]);
            let tasks = tasks(&modules, &sets);
            let device = Cpu::<f32>::new();
            Objective::new(&device, &vit, &parts, &tasks, Level::Whole).err().unwrap().to_string()
        };
        assert!(
            refused(&|s| s.record.base_digest = "other".into()).contains("another base (other)")
        );
        assert!(
            refused(&|s| s.record.classes = vec!["x".into(), "y".into()])
                .contains("the classes x, y")
        );
        assert!(refused(&|s| s.record.preprocessing.mean[0] += 0.1).contains("in different ways"));
    }
}
