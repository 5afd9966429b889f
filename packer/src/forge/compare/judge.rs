//! What models are judged by: the members' condensed sets, and the test images of those tasks for
//! which the caller has some. The features of an image under a network are computed once, however
//! many models run that network.
//!
//! Intervals are those of [`crate::eval`]: whole groups (patients) are drawn again, the same ones
//! for every model.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::{Figures, OnCondensed, Question, Scores, Test};
use crate::Error;
use crate::data::{Images, Split};
use crate::device::cpu::Cpu;
use crate::eval::bootstrap::Bootstrap;
use crate::eval::metrics::Predictions;
use crate::eval::{Estimate, Metric};
use crate::forge::recipe::{Recipes, judged, known};
use crate::forge::{Known, Members};
use crate::lora::Module;
use crate::merge::compose::{Judge, digest};
use crate::merge::model::{Answer, Composition, Model};
use crate::merge::routed::Prototypes;
use crate::merge::{LEAST, Sites, Task};
use crate::predict::Predictor;

/// The judges of one comparison.
pub struct Judges<'a> {
    recipes: &'a Recipes<'a>,
    condensed: Judge<'a, Cpu<f32>>,
    known: Vec<Known>,
    /// Of the members' tasks, if their condensed sets allow it.
    routing: Option<Prototypes>,
    real: Vec<Real>,
}

/// A task's test images.
struct Real {
    task: String,
    classes: Vec<String>,
    size: usize,
    images: Images,
    /// Or the class that has images of one group only.
    bootstrap: Result<Bootstrap, usize>,
    /// By network: [n, hidden].
    features: RefCell<BTreeMap<String, Vec<f32>>>,
}

/// Balanced accuracy, AUC, and balanced accuracy with the task unknown, as the model is and with
/// routing.
type Numbers = [Option<f64>; 4];

/// A model's numbers on one task's images, and in every resample.
struct Measured {
    whole: Numbers,
    draws: Vec<Numbers>,
}

impl<'a> Judges<'a> {
    pub fn new(
        recipes: &'a Recipes<'a>,
        members: &dyn Members,
        modules: &[Module],
        question: &Question,
    ) -> Result<Self, Error> {
        let known = known(members)?;
        if !known.iter().map(|known| &known.task).eq(modules.iter().map(|module| &module.card.task))
        {
            return Err(Error::ForgeHistory {
                what: "a member's module is for another task than its name says".into(),
            });
        }
        let mut real = Vec::new();
        for module in modules {
            let Some(data) = question.data.get(&module.card.task) else { continue };
            let images =
                Images::load(data, &data.indices(Split::Test), &module.card.preprocessing)?;
            let bootstrap =
                Bootstrap::new(images.labels(), images.groups(), question.resamples, question.seed);
            let (task, classes) = (module.card.task.clone(), data.classes.clone());
            let size = module.card.image_size as usize;
            real.push(Real {
                task,
                classes,
                size,
                images,
                bootstrap,
                features: RefCell::default(),
            });
        }
        let condensed = recipes.judge()?;
        let routing = match condensed.prototypes(&judged(&known)) {
            Err(Error::Merge { .. }) => None,
            prototypes => Some(prototypes?),
        };
        Ok(Judges { recipes, condensed, known, routing, real })
    }

    pub fn tests(&self) -> Vec<Test> {
        self.real.iter().map(Real::described).collect()
    }

    /// How models do, `model_of` a task; `unknown` asks them also without saying which task it is.
    pub fn figures<'m>(
        &self,
        model_of: impl Fn(&str) -> &'m Model,
        unknown: bool,
    ) -> Result<Figures, Error> {
        let on = judged(&self.known)
            .into_iter()
            .map(|task| self.on_condensed(model_of(task.name), &task));
        let on = on.collect::<Result<Vec<_>, _>>()?;
        let over_tasks =
            |of: fn(&OnCondensed) -> f64| on.iter().map(of).sum::<f64>() / on.len() as f64;
        let measured = self
            .real
            .iter()
            .map(|real| Ok((real, self.measure(real, model_of(&real.task), unknown)?)));
        let measured = measured.collect::<Result<Vec<_>, Error>>()?;
        let networks = self.known.iter().map(|known| needed(model_of(&known.task)));
        Ok(Figures {
            networks: networks.max().unwrap_or(0),
            condensed: OnCondensed {
                cross_entropy: over_tasks(|on| on.cross_entropy),
                balanced_accuracy: over_tasks(|on| on.balanced_accuracy),
            },
            mean: mean(&measured.iter().map(|(_, m)| m).collect::<Vec<_>>())
                .and_then(|mean| mean.scores()),
            real: measured
                .iter()
                .filter_map(|(real, m)| Some((real.task.clone(), m.scores()?)))
                .collect(),
        })
    }

    fn on_condensed(&self, model: &Model, task: &Task) -> Result<OnCondensed, Error> {
        let rows = features(model, |sites| self.condensed.features(sites, task))?;
        let (n, labels) = (task.set.len(), task.set.classes());
        let said = said(&answers(model, &rows, n, Some(task.name)));
        let pairs = said.iter().zip(&task.set.labels);
        let numbers = predictions(&said, &labels, task.head.classes.len())?.metrics(&vec![1; n]);
        Ok(OnCondensed {
            cross_entropy: -pairs.map(|(p, y)| f64::from(*y) * p.max(LEAST).ln()).sum::<f64>()
                / n as f64,
            balanced_accuracy: numbers[Metric::BalancedAccuracy as usize].unwrap_or(f64::NAN),
        })
    }

    fn measure(&self, real: &Real, model: &Model, unknown: bool) -> Result<Measured, Error> {
        let rows = features(model, |sites| self.see(real, sites))?;
        let (labels, classes) = (real.images.labels(), real.classes.len());
        let given = predictions(
            &said(&answers(model, &rows, labels.len(), Some(&real.task))),
            labels,
            classes,
        )?;
        let routed =
            self.routing.clone().map(|routing| Model { routing: Some(routing), ..model.clone() });
        let open = if unknown {
            [
                Some(self.without_task(real, model)?),
                routed.map(|m| self.without_task(real, &m)).transpose()?,
            ]
        } else {
            [None, None]
        };
        let numbers = |weights: &[u32]| {
            let (of_given, accuracy) = (given.metrics(weights), Metric::BalancedAccuracy as usize);
            let [plain, routed] =
                open.each_ref().map(|open| open.as_ref()?.metrics(weights)[accuracy]);
            [of_given[accuracy], of_given[Metric::Auc as usize], plain, routed]
        };
        let draws =
            real.bootstrap.as_ref().map(|bootstrap| bootstrap.run(numbers)).unwrap_or_default();
        Ok(Measured { whole: numbers(&vec![1; labels.len()]), draws })
    }

    /// What a model says that is not told the task, with one class more for what it takes for
    /// another task.
    fn without_task(&self, real: &Real, model: &Model) -> Result<Predictions, Error> {
        let (labels, classes) = (real.images.labels(), real.classes.len());
        let with_others = |answer: Answer| {
            if answer.task == real.task {
                answer.probabilities.into_iter().chain([0.0]).collect::<Vec<_>>()
            } else {
                std::iter::repeat_n(0.0, classes).chain([1.0]).collect()
            }
        };
        let rows = features(model, |sites| self.see(real, sites))?;
        let said = answers(model, &rows, labels.len(), None).into_iter().flat_map(with_others);
        predictions(&said.collect::<Vec<_>>(), labels, classes + 1)
    }

    /// The features of a task's test images under the base changed by `sites`.
    fn see(&self, real: &Real, sites: &Sites) -> Result<Vec<f32>, Error> {
        let key = digest(sites);
        if let Some(known) = real.features.borrow().get(&key) {
            return Ok(known.clone());
        }
        let all: Vec<usize> = (0..real.images.len()).collect();
        let predictor =
            Predictor::changed(&self.recipes.device, self.recipes.vit()?, sites, real.size);
        let rows = predictor.features_of(&real.images, &all, |_| ())?.concat();
        real.features.borrow_mut().insert(key, rows.clone());
        Ok(rows)
    }
}

impl Real {
    fn described(&self) -> Test {
        let groups: BTreeSet<&usize> = self.images.groups().iter().collect();
        let one_group =
            |class: &usize| format!("class {} has images of one group only", self.classes[*class]);
        let no_intervals = self.bootstrap.as_ref().err().map(one_group);
        Test {
            task: self.task.clone(),
            images: self.images.len(),
            groups: groups.len(),
            no_intervals,
        }
    }
}

impl Measured {
    fn scores(&self) -> Option<Scores> {
        let estimate = |name, which: usize| -> Option<Estimate> {
            let draws = self.draws.iter().filter_map(|draw| draw[which]).collect();
            Some(Estimate::new(name, self.whole[which]?, draws))
        };
        Some(Scores {
            balanced_accuracy: estimate(Metric::BalancedAccuracy, 0)?,
            auc: estimate(Metric::Auc, 1),
            task_unknown: estimate(Metric::BalancedAccuracy, 2),
            task_unknown_routing: estimate(Metric::BalancedAccuracy, 3),
        })
    }
}

/// The mean over tasks. Draw i of the first task stands beside draw i + 1 of the second and so on,
/// so that tasks are drawn apart.
fn mean(tasks: &[&Measured]) -> Option<Measured> {
    let count = tasks.iter().map(|task| task.draws.len()).min()?;
    let of = |numbers: &[Numbers]| -> Numbers {
        [0, 1, 2, 3].map(|which| {
            let all = numbers.iter().map(|n| n[which]).collect::<Option<Vec<f64>>>()?;
            Some(all.iter().sum::<f64>() / all.len() as f64)
        })
    };
    let draw = |i: usize| {
        tasks.iter().enumerate().map(|(k, task)| task.draws[(i + k) % count]).collect::<Vec<_>>()
    };
    let whole = of(&tasks.iter().map(|task| task.whole).collect::<Vec<_>>());
    Some(Measured { whole, draws: (0..count).map(|i| of(&draw(i))).collect() })
}

/// How many networks an answer needs, the task given: routing that tells the task alone is not
/// asked.
fn needed(model: &Model) -> usize {
    match &model.composition {
        Composition::Fusion(_) => 1,
        Composition::Mixture { modules, .. } => modules.len(),
        Composition::Routed { modules } => 1 + modules.len(),
    }
}

/// By network of `model`: [n, hidden].
fn features(
    model: &Model,
    see: impl Fn(&Sites) -> Result<Vec<f32>, Error>,
) -> Result<Vec<Vec<f32>>, Error> {
    model.networks().iter().map(see).collect()
}

fn answers(model: &Model, features: &[Vec<f32>], images: usize, task: Option<&str>) -> Vec<Answer> {
    let answer = |i: usize| {
        let row = features
            .iter()
            .map(|rows| rows.chunks_exact(rows.len() / images).nth(i).unwrap_or_default());
        model.answer(&row.collect::<Vec<_>>(), task)
    };
    (0..images).map(answer).collect()
}

/// [n, classes]
fn said(answers: &[Answer]) -> Vec<f64> {
    answers.iter().flat_map(|answer| answer.probabilities.iter().copied()).collect()
}

fn predictions(said: &[f64], labels: &[usize], classes: usize) -> Result<Predictions, Error> {
    Predictions::new(&said.iter().map(|p| *p as f32).collect::<Vec<_>>(), labels, classes)
}
