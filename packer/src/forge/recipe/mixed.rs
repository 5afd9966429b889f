//! Mixtures in a forge.
//!
//! The networks' predictions on condensed sets are computed once and kept with the item. The next
//! step then runs only the new network on the old sets and the old networks on the new set. Its
//! search reads no image.
//!
//! Files: `heads/TASK.safetensors`. Where old weights are scaled, `mixed.safetensors` holds the
//! mixture's predictions by condensed set. Where all weights are found together,
//! `said/CONTRIBUTION.safetensors` holds the predictions by module and condensed set that are new
//! with that contribution.

use serde_json::{Map, Value, json};

use super::files;
use super::mixture_step::Step;
use super::recipes::Recipe;
use super::settings::Mixture;
use crate::Error;
use crate::forge::{ItemModel, Members};

/// The mixture of `members`, of which the last is new.
pub fn merge(
    recipe: &Recipe,
    how: &Mixture,
    previous: Option<&ItemModel>,
    members: &dyn Members,
) -> Result<ItemModel, Error> {
    let data = recipe.task_data(members)?;
    let step = Step { judge: recipe.recipes.judge()?, data: &data, members, how };
    let (weights, search, mut files) =
        if how.joint { step.joint(previous)? } else { step.beside(previous)? };
    let heads = data
        .iter()
        .take(members.len())
        .map(|task| (task.name.clone(), task.head.clone()))
        .collect();
    files.extend(files::of_heads(&files::by_task(heads)?)?);
    let mut record = Map::from_iter([weights.recorded(members)]);
    if let Some(found) = search {
        record.insert("search".into(), json!({ "loss": found.loss, "trace": found.trace }));
    }
    Ok(ItemModel { record: Value::Object(record), files })
}
