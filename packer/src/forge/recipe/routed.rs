//! Routed models in a forge: each task's prototypes under the frozen base, made from the condensed sets.

use std::collections::BTreeMap;

use medforge_runtime::tensors;
use serde_json::json;

use super::{Recipe, files, judged};
use crate::Error;
use crate::forge::{Made, Members};
use crate::lora::Module;
use crate::merge::compose;
use crate::merge::model::Composition;
use crate::merge::routed::Prototypes;

const FILE: &str = "prototypes.safetensors";

pub fn merge(recipe: &Recipe, members: &dyn Members) -> Result<Made, Error> {
    let known = recipe.known(members)?;
    let prototypes = recipe.recipes.judge()?.prototypes(&judged(&known))?;
    let heads = files::by_task(known.into_iter().map(|known| (known.task, known.head)).collect())?;
    let mut files = files::of_heads(&heads)?;
    let by_name = prototypes.tasks.iter().map(|(task, tensor)| (task.as_str(), tensor));
    files.insert(FILE.into(), tensors::write(by_name, &BTreeMap::new())?);
    Ok(Made { record: json!({}), files })
}

/// The model that an item's files, record and members' modules are.
pub fn composition(made: &Made, modules: &[Module]) -> Result<Composition, Error> {
    let refuse = |what: &str| Error::ForgeHistory { what: format!("the item's routing {what}") };
    let tasks = tensors::read(files::file(made, FILE)?, FILE)?;
    let mut by_task: BTreeMap<&str, &Module> = modules.iter().map(|m| (m.card.task.as_str(), m)).collect();
    if !tasks.keys().map(String::as_str).eq(by_task.keys().copied()) {
        return Err(refuse("is of other tasks than its members'"));
    }
    for (task, tensor) in &tasks {
        let [classes, hidden] = by_task[task.as_str()].head.weight.shape[..] else {
            unreachable!("heads are matrices")
        };
        if tensor.shape != [classes, hidden + 1] {
            return Err(refuse(&format!("has not one prototype for each class of {task}")));
        }
    }
    let modules = by_task.values_mut().map(|module| compose::sites(module)).collect();
    Ok(Composition::Routed { modules, prototypes: Prototypes { tasks } })
}
