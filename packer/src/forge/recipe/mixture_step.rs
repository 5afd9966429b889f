//! One step of a mixture: the predictions that it needs, kept or computed, and the search of its
//! weights.

use std::collections::BTreeMap;

use medforge_runtime::tensors::{self, Tensor};

use super::files;
use super::mixture_weights::{Weights, of_task};
use super::settings::Mixture;
use super::tasks::borrowed;
use crate::Error;
use crate::device::cpu::Cpu;
use crate::forge::{ItemModel, Members, TaskData};
use crate::merge::compose::{self, Judge};
use crate::merge::mixture::{self, TaskPredictions};

const MIXED: &str = "mixed.safetensors";

/// What a step works with.
pub struct Step<'a> {
    pub judge: Judge<'a, Cpu<f32>>,
    /// The tasks whose condensed sets the search uses, the members' first.
    pub data: &'a [TaskData],
    pub members: &'a dyn Members,
    pub how: &'a Mixture,
}

type Files = BTreeMap<String, Vec<u8>>;
type Outcome = (Weights, Option<mixture::Found>, Files);

impl Step<'_> {
    /// The new member's weight beside the old ones, which are scaled together.
    pub fn beside(&self, previous: Option<&ItemModel>) -> Result<Outcome, Error> {
        let new = self.members.len() - 1;
        let fresh = self.predict(new, &self.data.iter().collect::<Vec<_>>())?;
        let mut before: Vec<Vec<f64>> = vec![Vec::new(); self.data.len()];
        let mut found = None;
        let mut pairs = vec![vec![0.0, 1.0]; self.data.len()];
        let mut mixed: Vec<Vec<f64>> = fresh.iter().map(|rows| vec![0.0; rows.len()]).collect();
        if let Some(previous) = previous {
            for (before, task) in before.iter_mut().zip(self.data) {
                *before = of_task(previous, self.members, new, &task.name)?;
            }
            mixed = self.mixed(previous, &before)?;
            let both = mixed.iter().zip(&fresh).zip(self.data);
            let both: Vec<TaskPredictions> =
                both.map(|((m, f), task)| predictions(task, vec![m.clone(), f.clone()])).collect();
            let search = mixture::search(&both, &self.how.search)?;
            pairs.clone_from(&search.weights);
            found = Some(search);
        }
        let mut kept = BTreeMap::new();
        for (((task, pair), mixed), fresh) in self.data.iter().zip(&pairs).zip(&mixed).zip(&fresh) {
            let sum =
                mixed.iter().zip(fresh).map(|(m, f)| (m * pair[0] + f * pair[1]) as f32).collect();
            kept.insert(task.id.clone(), rows(task, sum));
        }
        let vectors = before
            .iter()
            .zip(&pairs)
            .map(|(b, pair)| b.iter().map(|w| w * pair[0]).chain([pair[1]]).collect());
        Ok((self.weights(vectors), found, Files::from([(MIXED.into(), write(&kept)?)])))
    }

    /// The previous mixture's predictions on every set. They are read, or computed for sets that
    /// are new to it.
    fn mixed(&self, previous: &ItemModel, before: &[Vec<f64>]) -> Result<Vec<Vec<f64>>, Error> {
        let kept = tensors::read(files::file(previous, MIXED)?, MIXED)?;
        let mut mixed = Vec::new();
        for task in self.data {
            mixed.push(match kept.get(&task.id) {
                Some(tensor) => values(tensor, task)?,
                None => vec![0.0; task.set.labels.len()],
            });
        }
        let new: Vec<usize> =
            (0..self.data.len()).filter(|t| !kept.contains_key(&self.data[*t].id)).collect();
        let sets: Vec<&TaskData> = new.iter().map(|t| &self.data[*t]).collect();
        for old in (0..self.members.len() - 1).filter(|_| !sets.is_empty()) {
            for (t, rows) in new.iter().zip(self.predict(old, &sets)?) {
                mixed[*t].iter_mut().zip(rows).for_each(|(sum, p)| *sum += before[*t][old] * p);
            }
        }
        Ok(mixed)
    }

    /// All weights together.
    pub fn joint(&self, previous: Option<&ItemModel>) -> Result<Outcome, Error> {
        let mut files: Files = previous.map(|model| model.files.clone()).unwrap_or_default();
        files.retain(|name, _| name.starts_with("said/"));
        let mut kept = BTreeMap::new();
        for (name, bytes) in &files {
            kept.extend(tensors::read(bytes, name)?);
        }
        let fresh = self.missing(&kept)?;
        let new = self.members.digest(self.members.len() - 1);
        files.insert(format!("said/{new}.safetensors"), write(&fresh)?);
        kept.extend(fresh);
        let all = |task: &TaskData| -> Result<TaskPredictions, Error> {
            let by =
                (0..self.members.len()).map(|module| values(&kept[&self.pair(module, task)], task));
            Ok(predictions(task, by.collect::<Result<_, _>>()?))
        };
        let all = self.data.iter().map(all).collect::<Result<Vec<_>, _>>()?;
        let found = mixture::search(&all, &self.how.search)?;
        Ok((self.weights(found.weights.iter().cloned()), Some(found), files))
    }

    /// The predictions of every module on every set that are not in `kept`.
    fn missing(&self, kept: &BTreeMap<String, Tensor>) -> Result<BTreeMap<String, Tensor>, Error> {
        let mut fresh = BTreeMap::new();
        for module in 0..self.members.len() {
            let new: Vec<&TaskData> = self
                .data
                .iter()
                .filter(|task| !kept.contains_key(&self.pair(module, task)))
                .collect();
            if new.is_empty() {
                continue;
            }
            for (task, values) in new.iter().zip(self.predict(module, &new)?) {
                let values = values.iter().map(|p| *p as f32).collect();
                fresh.insert(self.pair(module, task), rows(task, values));
            }
        }
        Ok(fresh)
    }

    /// The name of a module's predictions on a set.
    fn pair(&self, module: usize, task: &TaskData) -> String {
        format!("{}/{}", self.members.digest(module), task.id)
    }

    /// The predictions of a member's network on condensed sets, rounded as they are stored.
    fn predict(&self, module: usize, data: &[&TaskData]) -> Result<Vec<Vec<f64>>, Error> {
        let sites = [compose::sites(&self.members.module(module)?)];
        let tasks: Vec<_> =
            data.iter().flat_map(|task| borrowed(std::slice::from_ref(*task))).collect();
        let found = self.judge.predictions(&sites, &tasks)?;
        Ok(found
            .into_iter()
            .map(|task| task.probabilities[0].iter().map(|p| f64::from(*p as f32)).collect())
            .collect())
    }

    fn weights(&self, vectors: impl Iterator<Item = Vec<f64>>) -> Weights {
        let mut vectors = self.data.iter().map(|task| task.name.clone()).zip(vectors);
        if self.how.search.per_task {
            Weights::ByTask(vectors.collect())
        } else {
            Weights::One(vectors.next().map(|(_, weights)| weights).unwrap_or_default())
        }
    }
}

fn predictions(task: &TaskData, probabilities: Vec<Vec<f64>>) -> TaskPredictions {
    let (labels, classes) = (task.set.labels.clone(), task.head.classes.len());
    TaskPredictions { labels, classes, probabilities }
}

fn rows(task: &TaskData, values: Vec<f32>) -> Tensor {
    let classes = task.head.classes.len();
    Tensor::f32(vec![values.len() / classes, classes], values)
}

fn values(tensor: &Tensor, task: &TaskData) -> Result<Vec<f64>, Error> {
    if tensor.data.len() == task.set.labels.len() {
        Ok(tensor.data.iter().map(|v| f64::from(*v)).collect())
    } else {
        Err(Error::ForgeHistory {
            what: format!("the item's mixture is of another set of {}", task.name),
        })
    }
}

fn write(by_name: &BTreeMap<String, Tensor>) -> Result<Vec<u8>, Error> {
    Ok(tensors::write(
        by_name.iter().map(|(name, tensor)| (name.as_str(), tensor)),
        &BTreeMap::new(),
    )?)
}
