//! Routing in a forge: each task's prototypes under the frozen base, computed from the condensed
//! sets. Any model may have it; routed models need it.

use std::collections::BTreeMap;

use medforge_runtime::tensors;
use serde_json::json;

use super::files;
use super::recipes::Recipe;
use super::tasks::{borrowed, task_name};
use crate::Error;
use crate::forge::{ItemModel, Members};
use crate::lora::Module;
use crate::merge::compose;
use crate::merge::model::Composition;
use crate::merge::routed::Prototypes;

const FILE: &str = "prototypes.safetensors";

/// The files of a routed model: the heads of `members`.
pub fn merge(members: &dyn Members) -> Result<ItemModel, Error> {
    let head = |i| Ok((task_name(members, i).to_owned(), members.head(i)?));
    let heads = (0..members.len()).map(head).collect::<Result<_, Error>>()?;
    Ok(ItemModel { record: json!({}), files: files::of_heads(&files::by_task(heads)?)? })
}

/// Adds the members' prototypes to the files of `model`.
pub fn add(recipe: &Recipe, members: &dyn Members, model: &mut ItemModel) -> Result<(), Error> {
    let data = recipe.task_data(members)?;
    let prototypes = recipe.recipes.judge()?.prototypes(&borrowed(&data[..members.len()]))?;
    let by_name = prototypes.tasks.iter().map(|(task, tensor)| (task.as_str(), tensor));
    model.files.insert(FILE.into(), tensors::write(by_name, &BTreeMap::new())?);
    Ok(())
}

/// The routing in an item's files; none if they have none.
pub fn routing(model: &ItemModel, modules: &[Module]) -> Result<Option<Prototypes>, Error> {
    let Some(bytes) = model.files.get(FILE) else { return Ok(None) };
    let refuse = |what: &str| Error::ForgeHistory { what: format!("the item's routing {what}") };
    let tasks = tensors::read(bytes, FILE)?;
    let by_task = by_task(modules);
    if !tasks.keys().map(String::as_str).eq(by_task.keys().copied()) {
        return Err(refuse("is of other tasks than its members'"));
    }
    for (task, tensor) in &tasks {
        let shape = &by_task[task.as_str()].head.weight.shape;
        if tensor.shape != [shape[0], shape[1] + 1] {
            return Err(refuse(&format!("has not one prototype for each class of {task}")));
        }
    }
    Ok(Some(Prototypes { tasks }))
}

/// A routed model of the members' modules, in the order of their tasks.
pub fn composition(modules: &[Module]) -> Composition {
    Composition::Routed { modules: by_task(modules).into_values().map(compose::sites).collect() }
}

fn by_task(modules: &[Module]) -> BTreeMap<&str, &Module> {
    modules.iter().map(|module| (module.card.task.as_str(), module)).collect()
}
