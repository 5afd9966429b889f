//! Fusion in a forge: one network from the previous model and the new member. The first member is
//! taken as it is.

use serde_json::{Map, Value, json};

use super::files;
use super::recipes::Recipe;
use super::tasks::{borrowed, task_name};
use crate::Error;
use crate::forge::{ItemModel, Members};
use crate::lora::dora;
use crate::merge::compose;
use crate::merge::fusion::{self, FusionSettings};

/// The fusion of `members`, of which the last is new.
pub fn merge(
    recipe: &Recipe,
    search: &FusionSettings,
    previous: Option<&ItemModel>,
    members: &dyn Members,
) -> Result<ItemModel, Error> {
    let new = members.len() - 1;
    let data = recipe.task_data(members)?;
    let tasks = borrowed(&data);
    let before = previous
        .map(|model| files::sites(model, &recipe.recipes.forge.identity().config))
        .transpose()?;
    let step = |done| (recipe.recipes.step)(done, search.evaluations);
    let sites = compose::sites(&members.module(new)?);
    if let Some(before) = &before {
        // A model with magnitudes has one member.
        for (name, part) in [(members.name(0), before), (members.name(new), &sites)] {
            if dora::has_magnitudes(part) {
                return Err(dora::unfusable(name));
            }
        }
    }
    let (sites, found) =
        recipe.recipes.judge()?.fuse(before.as_ref(), sites, &tasks, search, step)?;
    let heads =
        (0..=new).map(|i| (task_name(members, i).to_owned(), data[i].head.clone())).collect();
    let model = files::of_fusion(recipe, sites, heads, &tasks[..=new])?;
    let mut record = Map::new();
    if before.is_some() {
        record.insert("search".into(), json!(found));
    }
    // After a fusion by site no member has a single weight.
    let single = previous.is_none_or(|model| model.record["weights"].is_object());
    if search.level == fusion::Level::Whole && single {
        let [old, own] = match found.weights[..] {
            [old, own] => [old, own],
            _ => [0.0, 1.0],
        };
        let mut weights: Map<String, Value> = previous
            .and_then(|model| model.record["weights"].as_object().cloned())
            .unwrap_or_default();
        for weight in weights.values_mut() {
            *weight = json!(weight.as_f64().unwrap_or(0.0) * old);
        }
        weights.insert(members.name(new).to_owned(), json!(own));
        record.insert("weights".into(), Value::Object(weights));
    }
    Ok(ItemModel { record: Value::Object(record), ..model })
}
