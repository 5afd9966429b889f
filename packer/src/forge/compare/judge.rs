//! The images that models are judged by: the members' condensed sets, and the caller's test images.
//! The features of an image under a network are computed once, however many models run that
//! network.
//!
//! Intervals are those of [`crate::eval`]: whole groups (patients) are resampled, the same ones for
//! every model.

use std::cell::RefCell;

use super::answers::{answers, features, needed, predictions, probabilities};
use super::real::{Measured, Real, mean};
use super::{Figures, OnCondensed, Question, Test};
use crate::Error;
use crate::data::{Images, Split};
use crate::device::cpu::Cpu;
use crate::eval::Metric;
use crate::eval::bootstrap::Bootstrap;
use crate::eval::metrics::Predictions;
use crate::forge::recipe::{Recipes, borrowed, task_data};
use crate::forge::{Members, TaskData};
use crate::lora::Module;
use crate::merge::compose::{Judge, digest};
use crate::merge::model::{Answer, Model};
use crate::merge::routed::Prototypes;
use crate::merge::{LEAST, Sites, Task};
use crate::predict::Predictor;

/// The judges of one comparison.
pub struct Judges<'a> {
    recipes: &'a Recipes<'a>,
    condensed: Judge<'a, Cpu<f32>>,
    data: Vec<TaskData>,
    /// The prototypes of the members' tasks, if their condensed sets allow them.
    routing: Option<Prototypes>,
    real: Vec<Real>,
}

impl<'a> Judges<'a> {
    pub fn new(
        recipes: &'a Recipes<'a>,
        members: &dyn Members,
        modules: &[Module],
        question: &Question,
    ) -> Result<Self, Error> {
        let data = task_data(members)?;
        if !data.iter().map(|task| &task.name).eq(modules.iter().map(|module| &module.card.task)) {
            return Err(Error::ForgeHistory {
                what: "a member's module is for another task than its name says".into(),
            });
        }
        let mut real = Vec::new();
        for module in modules {
            let Some(dataset) = question.data.get(&module.card.task) else { continue };
            let images =
                Images::load(dataset, &dataset.indices(Split::Test), &module.card.preprocessing)?;
            let bootstrap =
                Bootstrap::new(images.labels(), images.groups(), question.resamples, question.seed);
            let (task, classes) = (module.card.task.clone(), dataset.classes.clone());
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
        let routing = match condensed.prototypes(&borrowed(&data)) {
            Err(Error::Merge { .. }) => None,
            prototypes => Some(prototypes?),
        };
        Ok(Judges { recipes, condensed, data, routing, real })
    }

    pub fn tests(&self) -> Vec<Test> {
        self.real.iter().map(Real::described).collect()
    }

    /// The figures of models; `model_of` gives the model of a task. With `unknown`, they are also
    /// asked without the task.
    pub fn figures<'m>(
        &self,
        model_of: impl Fn(&str) -> &'m Model,
        unknown: bool,
    ) -> Result<Figures, Error> {
        let on = borrowed(&self.data)
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
        let networks = self.data.iter().map(|task| needed(model_of(&task.name)));
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
        let found = probabilities(&answers(model, &rows, n, Some(task.name)));
        let pairs = found.iter().zip(&task.set.labels);
        let numbers = predictions(&found, &labels, task.head.classes.len())?.metrics(&vec![1; n]);
        Ok(OnCondensed {
            cross_entropy: -pairs.map(|(p, y)| f64::from(*y) * p.max(LEAST).ln()).sum::<f64>()
                / n as f64,
            balanced_accuracy: numbers[Metric::BalancedAccuracy as usize].unwrap_or(f64::NAN),
        })
    }

    fn measure(&self, real: &Real, model: &Model, unknown: bool) -> Result<Measured, Error> {
        let rows = features(model, |sites| self.features(real, sites))?;
        let (labels, classes) = (real.images.labels(), real.classes.len());
        let given = predictions(
            &probabilities(&answers(model, &rows, labels.len(), Some(&real.task))),
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

    /// The predictions of a model that is not told the task. An extra class stands for images that
    /// it assigns to another task.
    fn without_task(&self, real: &Real, model: &Model) -> Result<Predictions, Error> {
        let (labels, classes) = (real.images.labels(), real.classes.len());
        let with_others = |answer: Answer| {
            if answer.task == real.task {
                answer.probabilities.into_iter().chain([0.0]).collect::<Vec<_>>()
            } else {
                std::iter::repeat_n(0.0, classes).chain([1.0]).collect()
            }
        };
        let rows = features(model, |sites| self.features(real, sites))?;
        let found = answers(model, &rows, labels.len(), None).into_iter().flat_map(with_others);
        predictions(&found.collect::<Vec<_>>(), labels, classes + 1)
    }

    /// The features of a task's test images under the base changed by `sites`.
    fn features(&self, real: &Real, sites: &Sites) -> Result<Vec<f32>, Error> {
        let key = digest(sites);
        if let Some(rows) = real.features.borrow().get(&key) {
            return Ok(rows.clone());
        }
        let all: Vec<usize> = (0..real.images.len()).collect();
        let predictor =
            Predictor::changed(&self.recipes.device, self.recipes.vit()?, sites, real.size);
        let rows = predictor.features_of(&real.images, &all, |_| ())?.concat();
        real.features.borrow_mut().insert(key, rows.clone());
        Ok(rows)
    }
}
