//! A mixture's weights, in memory and in an item's record.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::tasks::task_name;
use crate::Error;
use crate::forge::{ItemModel, Members};
use crate::lora::Module;
use crate::merge::compose;
use crate::merge::model::Composition;

/// The weights of all members: one vector, or one for each task.
pub enum Weights {
    One(Vec<f64>),
    ByTask(BTreeMap<String, Vec<f64>>),
}

impl Weights {
    /// The weights as an entry of the item's record.
    pub fn recorded(&self, members: &dyn Members) -> (String, Value) {
        let named = |weights: &[f64]| -> Map<String, Value> {
            let named = weights.iter().enumerate();
            named.map(|(i, weight)| (members.name(i).to_owned(), json!(weight))).collect()
        };
        match self {
            Weights::One(weights) => ("weights".into(), Value::Object(named(weights))),
            Weights::ByTask(by_task) => (
                "by_task".into(),
                by_task.iter().map(|(task, weights)| (task.clone(), named(weights))).collect(),
            ),
        }
    }
}

/// The model of an item's record and its members' modules.
pub fn composition(
    model: &ItemModel,
    members: &dyn Members,
    modules: &[Module],
) -> Result<Composition, Error> {
    let mut by_task = BTreeMap::new();
    for i in 0..members.len() {
        let task = task_name(members, i);
        by_task.insert(task.to_owned(), of_task(model, members, modules.len(), task)?);
    }
    Ok(Composition::Mixture {
        modules: modules.iter().map(compose::sites).collect(),
        weights: by_task,
    })
}

/// The recorded weights of the first `count` members for a task. They are equal if the task has
/// none yet.
pub fn of_task(
    model: &ItemModel,
    members: &dyn Members,
    count: usize,
    task: &str,
) -> Result<Vec<f64>, Error> {
    let of = match model.record.get("by_task") {
        Some(by_task) => by_task.get(task),
        None => model.record.get("weights"),
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
