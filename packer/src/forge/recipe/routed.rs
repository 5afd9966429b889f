//! Routing in a forge: each task's prototypes under the frozen base, made from the condensed sets,
//! of whatever model; and routed models.

use std::collections::BTreeMap;

use medforge_runtime::tensors;
use serde_json::json;

use super::{Recipe, files, judged, task};
use crate::Error;
use crate::forge::{Made, Members};
use crate::lora::Module;
use crate::merge::compose;
use crate::merge::model::Composition;
use crate::merge::routed::Prototypes;

const FILE: &str = "prototypes.safetensors";

pub fn merge(members: &dyn Members) -> Result<Made, Error> {
    let head = |i| Ok((task(members, i).to_owned(), members.head(i)?));
    let heads = (0..members.len()).map(head).collect::<Result<_, Error>>()?;
    Ok(Made { record: json!({}), files: files::of_heads(&files::by_task(heads)?)? })
}

/// Adds the members' prototypes to what was made.
pub fn add(recipe: &Recipe, members: &dyn Members, made: &mut Made) -> Result<(), Error> {
    let known = recipe.known(members)?;
    let prototypes = recipe.recipes.judge()?.prototypes(&judged(&known[..members.len()]))?;
    let by_name = prototypes.tasks.iter().map(|(task, tensor)| (task.as_str(), tensor));
    made.files.insert(FILE.into(), tensors::write(by_name, &BTreeMap::new())?);
    Ok(())
}

/// The routing that an item's files hold, if they do.
pub fn routing(made: &Made, modules: &[Module]) -> Result<Option<Prototypes>, Error> {
    let Some(bytes) = made.files.get(FILE) else { return Ok(None) };
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
