//! Merges without data. All members are merged at once, so their order does not matter.

use serde_json::{Value, json};

use super::files;
use super::recipes::Recipe;
use super::tasks::{borrowed, task_name};
use crate::Error;
use crate::forge::{ItemModel, Members};
use crate::merge::{self, Grams, Options};

/// The merge of all `members`.
pub fn merge(
    recipe: &Recipe,
    options: &Options,
    members: &dyn Members,
) -> Result<ItemModel, Error> {
    let count = members.len();
    let modules = (0..count).map(|i| members.module(i)).collect::<Result<Vec<_>, _>>()?;
    let mut grams = Vec::new();
    if options.method == merge::Method::RegMean {
        for i in 0..count {
            let without = || Error::Merge {
                what: format!(
                    "{} gave no Gram matrices, which regmean needs; take another method",
                    members.name(i)
                ),
            };
            grams.push(Grams { sites: members.grams(i)?.ok_or_else(without)? });
        }
    }
    let merged = merge::merge(
        &modules.iter().collect::<Vec<_>>(),
        options,
        &grams.iter().collect::<Vec<_>>(),
    )?;
    let data = if recipe.settings.refit_heads { recipe.task_data(members)? } else { Vec::new() };
    let heads = modules
        .into_iter()
        .enumerate()
        .map(|(i, module)| (task_name(members, i).to_owned(), module.head))
        .collect();
    let model = files::of_fusion(recipe, merged.sites, heads, &borrowed(&data))?;
    let weights = options
        .weights_of(count)
        .into_iter()
        .enumerate()
        .map(|(i, w)| (members.name(i).to_owned(), w));
    let weights: serde_json::Map<_, _> =
        weights.map(|(name, weight)| (name, Value::from(weight))).collect();
    Ok(ItemModel { record: json!({ "weights": weights, "kept": merged.kept }), ..model })
}
