//! From modules and condensed sets to a merged model: fusions, mixtures and routed compositions,
//! one contribution after another. Heads can be refitted on condensed sets.
//!
//! Refused: condensed sets of another base, of other classes than the head's, or prepared in
//! several ways. Heads are not refitted if several networks share them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use sha2::{Digest, Sha256};

use super::fusion::{self, FusionSettings};
use super::judged::{self, Task};
use super::mixture::{self, MixtureSettings, TaskPredictions};
use super::model::{Composition, Model};
use super::routed::{Prototypes, TaskFeatures};
use super::sites::Sites;
pub use super::sites::of_module as sites;
use crate::base::Vit;
use crate::device::Device;
use crate::lora::{Head, compact};
use crate::predict::{Predictor, batch, linear_head, probabilities};
use crate::{Error, interrupt};

/// Features [n, hidden] by network and images. Judges on one base may share them.
pub type Features = Rc<RefCell<BTreeMap<[String; 2], Vec<f32>>>>;

/// Computes the features of condensed sets under networks, each of them once, and merges with them.
pub struct Judge<'a, D: Device> {
    device: &'a D,
    vit: &'a Vit,
    base_digest: String,
    features: Features,
}

impl<'a, D: Device + 'static> Judge<'a, D> {
    pub fn new(device: &'a D, vit: &'a Vit) -> Self {
        Judge::sharing(device, vit, &Features::default())
    }

    /// A judge that uses the features in `shared` and adds to them.
    pub fn sharing(device: &'a D, vit: &'a Vit, shared: &Features) -> Self {
        Judge { device, vit, base_digest: vit.digest(), features: shared.clone() }
    }

    /// The features [n, hidden] of a task's condensed images under the base changed by `sites`.
    pub fn features(&self, sites: &Sites, task: &Task) -> Result<Vec<f32>, Error> {
        let size = judged::check(std::slice::from_ref(task), &self.base_digest)?;
        let pixels = task.set.normalised();
        let key =
            [digest(sites), hex::encode(Sha256::digest(bytemuck::cast_slice::<f32, u8>(&pixels)))];
        if let Some(rows) = self.features.borrow().get(&key) {
            return Ok(rows.clone());
        }
        let predictor = Predictor::changed(self.device, self.vit, sites, size);
        let each = batch(self.device, &self.vit.config, size) * 3 * size * size;
        let mut rows = Vec::new();
        for pixels in pixels.chunks(each) {
            interrupt::check()?;
            rows.extend(predictor.features(pixels)?);
        }
        self.features.borrow_mut().insert(key, rows.clone());
        Ok(rows)
    }

    /// The fusion of the sites `before` and a new part, with both weights found. A part without
    /// sites before it stays as it is.
    pub fn fuse(
        &self,
        before: Option<&Sites>,
        new: Sites,
        tasks: &[Task],
        settings: &FusionSettings,
        step: impl FnMut(usize),
    ) -> Result<(Sites, fusion::Found), Error> {
        let Some(before) = before else {
            return Ok((
                new,
                fusion::Found { weights: vec![1.0], loss: f64::NAN, trace: Vec::new() },
            ));
        };
        let parts = [before.clone(), new];
        let objective =
            fusion::Objective::new(self.device, self.vit, &parts, tasks, settings.level)?;
        let found = fusion::search(&objective, settings, step)?;
        let sum = objective.sum(&found.weights);
        Ok((sum.into_iter().map(|(site, factors)| (site, compact(factors))).collect(), found))
    }

    /// Every module's probabilities on every task's condensed images, through that task's head.
    pub fn predictions(
        &self,
        modules: &[Sites],
        tasks: &[Task],
    ) -> Result<Vec<TaskPredictions>, Error> {
        judged::check(tasks, &self.base_digest)?;
        let of = |task: &Task| -> Result<TaskPredictions, Error> {
            let by = |sites: &Sites| -> Result<Vec<f64>, Error> {
                let rows = self.features(sites, task)?;
                let width = self.vit.config.features();
                Ok(rows.chunks_exact(width).flat_map(|row| probabilities(task.head, row)).collect())
            };
            let probabilities = modules.iter().map(by).collect::<Result<Vec<_>, _>>()?;
            Ok(TaskPredictions {
                labels: task.set.labels.clone(),
                classes: task.head.classes.len(),
                probabilities,
            })
        };
        tasks.iter().map(of).collect()
    }

    /// The mixture of `modules`, of which the last is new. With `joint` all weights are found
    /// together. Otherwise the weights `before` (by task) are scaled.
    pub fn mix(
        &self,
        before: &BTreeMap<String, Vec<f64>>,
        modules: &[Sites],
        tasks: &[Task],
        settings: &MixtureSettings,
        joint: bool,
    ) -> Result<(BTreeMap<String, Vec<f64>>, mixture::Found), Error> {
        let predictions = self.predictions(modules, tasks)?;
        let found = if joint || modules.len() == 1 {
            mixture::search(&predictions, settings)?
        } else {
            let common = before.values().next().filter(|_| !settings.per_task);
            let of = |task: &Task| before.get(task.name).or(common).cloned().unwrap_or_default();
            let before: Vec<Vec<f64>> = tasks.iter().map(of).collect();
            mixture::extend(&predictions, &before, settings)?
        };
        let by_task = tasks.iter().zip(&found.weights).map(|(t, w)| (t.name.to_owned(), w.clone()));
        Ok((by_task.collect(), found))
    }

    /// The prototypes of `tasks` under the frozen base.
    pub fn prototypes(&self, tasks: &[Task]) -> Result<Prototypes, Error> {
        let rows =
            tasks.iter().map(|t| self.features(&Sites::new(), t)).collect::<Result<Vec<_>, _>>()?;
        let labels: Vec<Vec<usize>> = tasks.iter().map(|t| t.set.classes()).collect();
        let features = tasks.iter().zip(&rows).zip(&labels).map(|((task, features), labels)| {
            TaskFeatures { task: task.name, classes: task.head.classes.len(), features, labels }
        });
        Prototypes::new(&features.collect::<Vec<_>>())
    }

    /// A model's heads, fitted again on condensed sets under its only network.
    pub fn refit(&self, model: &Model, tasks: &[Task]) -> Result<BTreeMap<String, Head>, Error> {
        let Composition::Fusion(sites) = &model.composition else {
            let what =
                "heads are refitted under one network; a mixture or a routed model has several"
                    .into();
            return Err(Error::Merge { what });
        };
        let mut heads = model.heads.clone();
        for task in tasks {
            let rows = self.features(sites, task)?;
            heads.insert(
                task.name.to_owned(),
                linear_head(&rows, &task.set.labels, &task.head.classes)?,
            );
        }
        Ok(heads)
    }
}

/// The SHA-256 of these changes, in hex.
pub fn digest(sites: &Sites) -> String {
    let mut hash = Sha256::new();
    for (site, factors) in sites {
        hash.update(format!("{site} {:?} {:?}\n", factors.a.shape, factors.b.shape));
        let magnitude = factors.magnitude.iter().flat_map(|m| &m.data);
        if let Some(magnitude) = &factors.magnitude {
            hash.update(format!("{:?}\n", magnitude.shape));
        }
        factors
            .a
            .data
            .iter()
            .chain(&factors.b.data)
            .chain(magnitude)
            .for_each(|v| hash.update(v.to_le_bytes()));
    }
    hex::encode(hash.finalize())
}
