//! Mixtures in a forge. What networks say of condensed sets is computed once and kept with the
//! item, so that the next step asks the new network for the old sets and the old networks for the
//! new set, and its search reads no image.
//!
//! Files: `heads/TASK.safetensors`; where old weights are scaled, `mixed.safetensors` (by condensed
//! set, what the mixture so far says); where all are found together,
//! `said/CONTRIBUTION.safetensors` (by module and condensed set, what is new with that
//! contribution).

use std::collections::BTreeMap;

use medforge_runtime::tensors::{self, Tensor};
use serde_json::{Map, Value, json};

use super::{Known, Mixture, Recipe, files, judged, task};
use crate::Error;
use crate::device::cpu::Cpu;
use crate::forge::{Made, Members};
use crate::lora::Module;
use crate::merge::compose::{self, Judge};
use crate::merge::mixture::{self, TaskPredictions};
use crate::merge::model::Composition;

const MIXED: &str = "mixed.safetensors";

/// One weight a member, or by task one a member.
enum Weights {
    One(Vec<f64>),
    ByTask(BTreeMap<String, Vec<f64>>),
}

pub fn merge(
    recipe: &Recipe,
    how: &Mixture,
    previous: Option<&Made>,
    members: &dyn Members,
) -> Result<Made, Error> {
    let known = recipe.known(members)?;
    let step = Step { judge: recipe.recipes.judge()?, known: &known, members, how };
    let (weights, search, mut files) =
        if how.joint { step.joint(previous)? } else { step.beside(previous)? };
    let heads = known
        .iter()
        .take(members.len())
        .map(|known| (known.task.clone(), known.head.clone()))
        .collect();
    files.extend(files::of_heads(&files::by_task(heads)?)?);
    let mut record = Map::new();
    let named = |weights: &[f64]| -> Map<String, Value> {
        weights.iter().enumerate().map(|(i, w)| (members.name(i).to_owned(), json!(w))).collect()
    };
    match &weights {
        Weights::One(weights) => record.insert("weights".into(), Value::Object(named(weights))),
        Weights::ByTask(by_task) => record.insert(
            "by_task".into(),
            by_task.iter().map(|(task, w)| (task.clone(), named(w))).collect(),
        ),
    };
    if let Some(found) = search {
        record.insert("search".into(), json!({ "loss": found.loss, "trace": found.trace }));
    }
    Ok(Made { record: Value::Object(record), files })
}

/// The model that an item's record and its members' modules are.
pub fn composition(
    made: &Made,
    members: &dyn Members,
    modules: &[Module],
) -> Result<Composition, Error> {
    let mut by_task = BTreeMap::new();
    for i in 0..members.len() {
        by_task.insert(
            task(members, i).to_owned(),
            recorded(made, members, modules.len(), task(members, i))?,
        );
    }
    Ok(Composition::Mixture {
        modules: modules.iter().map(compose::sites).collect(),
        weights: by_task,
    })
}

/// What a step works with.
struct Step<'a> {
    judge: Judge<'a, Cpu<f32>>,
    known: &'a [Known],
    members: &'a dyn Members,
    how: &'a Mixture,
}

type Files = BTreeMap<String, Vec<u8>>;
type Outcome = (Weights, Option<mixture::Found>, Files);

impl Step<'_> {
    /// The new member's weight beside the old ones, scaled.
    fn beside(&self, previous: Option<&Made>) -> Result<Outcome, Error> {
        let new = self.members.len() - 1;
        let fresh = self.say(new, &self.known.iter().collect::<Vec<_>>())?;
        let mut before: Vec<Vec<f64>> = vec![Vec::new(); self.known.len()];
        let mut found = None;
        let mut pairs = vec![vec![0.0, 1.0]; self.known.len()];
        let mut mixed: Vec<Vec<f64>> = fresh.iter().map(|rows| vec![0.0; rows.len()]).collect();
        if let Some(previous) = previous {
            for (before, known) in before.iter_mut().zip(self.known) {
                *before = recorded(previous, self.members, new, &known.task)?;
            }
            mixed = self.mixed(previous, &before)?;
            let both = mixed.iter().zip(&fresh).zip(self.known);
            let both: Vec<TaskPredictions> =
                both.map(|((m, f), known)| said(known, vec![m.clone(), f.clone()])).collect();
            let search = mixture::search(&both, &self.how.search)?;
            pairs.clone_from(&search.weights);
            found = Some(search);
        }
        let mut kept = BTreeMap::new();
        for (((known, pair), mixed), fresh) in self.known.iter().zip(&pairs).zip(&mixed).zip(&fresh)
        {
            let sum =
                mixed.iter().zip(fresh).map(|(m, f)| (m * pair[0] + f * pair[1]) as f32).collect();
            kept.insert(known.id.clone(), rows(known, sum));
        }
        let vectors = before
            .iter()
            .zip(&pairs)
            .map(|(b, pair)| b.iter().map(|w| w * pair[0]).chain([pair[1]]).collect());
        Ok((self.weights(vectors), found, Files::from([(MIXED.into(), write(&kept)?)])))
    }

    /// What the previous mixture says of every set: read, or computed where it did not see the set.
    fn mixed(&self, previous: &Made, before: &[Vec<f64>]) -> Result<Vec<Vec<f64>>, Error> {
        let kept = tensors::read(files::file(previous, MIXED)?, MIXED)?;
        let mut mixed = Vec::new();
        for known in self.known {
            mixed.push(match kept.get(&known.id) {
                Some(tensor) => values(tensor, known)?,
                None => vec![0.0; known.set.labels.len()],
            });
        }
        let unseen: Vec<usize> =
            (0..self.known.len()).filter(|t| !kept.contains_key(&self.known[*t].id)).collect();
        let sets: Vec<&Known> = unseen.iter().map(|t| &self.known[*t]).collect();
        for old in (0..self.members.len() - 1).filter(|_| !sets.is_empty()) {
            for (t, said) in unseen.iter().zip(self.say(old, &sets)?) {
                mixed[*t].iter_mut().zip(said).for_each(|(sum, p)| *sum += before[*t][old] * p);
            }
        }
        Ok(mixed)
    }

    /// All weights together.
    fn joint(&self, previous: Option<&Made>) -> Result<Outcome, Error> {
        let is_said = |(name, _): &(&String, &Vec<u8>)| name.starts_with("said/");
        let mut files: Files = previous
            .map(|made| {
                made.files
                    .iter()
                    .filter(is_said)
                    .map(|(name, bytes)| (name.clone(), bytes.clone()))
                    .collect()
            })
            .unwrap_or_default();
        let mut kept = BTreeMap::new();
        for (name, bytes) in &files {
            kept.extend(tensors::read(bytes, name)?);
        }
        let pair =
            |module: usize, known: &Known| format!("{}/{}", self.members.digest(module), known.id);
        let mut fresh = BTreeMap::new();
        for module in 0..self.members.len() {
            let unseen: Vec<&Known> = self
                .known
                .iter()
                .filter(|known| !kept.contains_key(&pair(module, known)))
                .collect();
            if unseen.is_empty() {
                continue;
            }
            for (known, said) in unseen.iter().zip(self.say(module, &unseen)?) {
                fresh.insert(
                    pair(module, known),
                    rows(known, said.iter().map(|p| *p as f32).collect()),
                );
            }
        }
        let new = self.members.digest(self.members.len() - 1);
        files.insert(format!("said/{new}.safetensors"), write(&fresh)?);
        kept.extend(fresh);
        let all = |known: &Known| -> Result<TaskPredictions, Error> {
            let by =
                (0..self.members.len()).map(|module| values(&kept[&pair(module, known)], known));
            Ok(said(known, by.collect::<Result<_, _>>()?))
        };
        let said = self.known.iter().map(all).collect::<Result<Vec<_>, _>>()?;
        let found = mixture::search(&said, &self.how.search)?;
        Ok((self.weights(found.weights.iter().cloned()), Some(found), files))
    }

    /// What a member's network says of condensed sets, rounded as it is kept.
    fn say(&self, module: usize, known: &[&Known]) -> Result<Vec<Vec<f64>>, Error> {
        let sites = [compose::sites(&self.members.module(module)?)];
        let tasks: Vec<_> =
            known.iter().flat_map(|known| judged(std::slice::from_ref(*known))).collect();
        let said = self.judge.predictions(&sites, &tasks)?;
        Ok(said
            .into_iter()
            .map(|said| said.probabilities[0].iter().map(|p| f64::from(*p as f32)).collect())
            .collect())
    }

    fn weights(&self, vectors: impl Iterator<Item = Vec<f64>>) -> Weights {
        let mut vectors = self.known.iter().map(|known| known.task.clone()).zip(vectors);
        if self.how.search.per_task {
            Weights::ByTask(vectors.collect())
        } else {
            Weights::One(vectors.next().map(|(_, weights)| weights).unwrap_or_default())
        }
    }
}

/// The weights of the first `count` members for a task; alike where the task had none yet.
fn recorded(
    made: &Made,
    members: &dyn Members,
    count: usize,
    task: &str,
) -> Result<Vec<f64>, Error> {
    let of = match made.record.get("by_task") {
        Some(by_task) => by_task.get(task),
        None => made.record.get("weights"),
    };
    let Some(of) = of else { return Ok(vec![1.0 / count as f64; count]) };
    let weight = |i: usize| {
        let missing = || Error::ForgeHistory {
            what: format!("the item's mixture has no weight of {}", members.name(i)),
        };
        of.get(members.name(i)).and_then(Value::as_f64).ok_or_else(missing)
    };
    (0..count).map(weight).collect()
}

fn said(known: &Known, probabilities: Vec<Vec<f64>>) -> TaskPredictions {
    TaskPredictions {
        labels: known.set.labels.clone(),
        classes: known.head.classes.len(),
        probabilities,
    }
}

fn rows(known: &Known, values: Vec<f32>) -> Tensor {
    let classes = known.head.classes.len();
    Tensor::f32(vec![values.len() / classes, classes], values)
}

fn values(tensor: &Tensor, known: &Known) -> Result<Vec<f64>, Error> {
    if tensor.data.len() == known.set.labels.len() {
        Ok(tensor.data.iter().map(|v| f64::from(*v)).collect())
    } else {
        Err(Error::ForgeHistory {
            what: format!("the item's mixture is of another set of {}", known.task),
        })
    }
}

fn write(by_name: &BTreeMap<String, Tensor>) -> Result<Vec<u8>, Error> {
    Ok(tensors::write(
        by_name.iter().map(|(name, tensor)| (name.as_str(), tensor)),
        &BTreeMap::new(),
    )?)
}
