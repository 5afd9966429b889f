//! Fusion in a forge: the previous model on one side, the new member on the other; the first member
//! comes as it is.

use serde_json::{Map, Value, json};

use super::{Recipe, files, judged, task};
use crate::Error;
use crate::forge::{Made, Members};
use crate::lora::dora;
use crate::merge::{compose, fusion};

pub fn merge(
    recipe: &Recipe,
    search: &fusion::FusionSettings,
    previous: Option<&Made>,
    members: &dyn Members,
) -> Result<Made, Error> {
    let new = members.len() - 1;
    let known = recipe.known(members)?;
    let tasks = judged(&known);
    let before = previous
        .map(|made| files::sites(made, &recipe.recipes.forge.identity().config))
        .transpose()?;
    let step = |done| (recipe.recipes.step)(done, search.evaluations);
    let sites = compose::sites(&members.module(new)?);
    if let Some(before) = &before {
        // Of a model with magnitudes there is one member.
        for (name, part) in [(members.name(0), before), (members.name(new), &sites)] {
            if dora::has_magnitudes(part) {
                return Err(dora::unfusable(name));
            }
        }
    }
    let (sites, found) =
        recipe.recipes.judge()?.fuse(before.as_ref(), sites, &tasks, search, step)?;
    let heads = (0..=new).map(|i| (task(members, i).to_owned(), known[i].head.clone())).collect();
    let made = files::of_fusion(recipe, sites, heads, &tasks[..=new])?;
    let mut record = Map::new();
    if before.is_some() {
        record.insert("search".into(), json!(found));
    }
    // After a fusion by site no member has one weight.
    let single = previous.is_none_or(|made| made.record["weights"].is_object());
    if search.level == fusion::Level::Whole && single {
        let [old, own] = match found.weights[..] {
            [old, own] => [old, own],
            _ => [0.0, 1.0],
        };
        let mut weights: Map<String, Value> = previous
            .and_then(|made| made.record["weights"].as_object().cloned())
            .unwrap_or_default();
        for weight in weights.values_mut() {
            *weight = json!(weight.as_f64().unwrap_or(0.0) * old);
        }
        weights.insert(members.name(new).to_owned(), json!(own));
        record.insert("weights".into(), Value::Object(weights));
    }
    Ok(Made { record: Value::Object(record), ..made })
}
