//! The files of an item's model: `heads/TASK.safetensors`. One network also has
//! `adapter_config.json` and `adapter_model.safetensors`, as PEFT has them.

use std::collections::BTreeMap;
use std::path::Path;

use super::recipes::Recipe;
use crate::Error;
use crate::base::VitConfig;
use crate::forge::ItemModel;
use crate::lora::{Head, Module, peft};
use crate::merge::model::{Composition, Model};
use crate::merge::{Sites, Task, one_rank};

const PLACE: &str = "the item's model";

/// The files of one network with its heads. The heads are refitted on `tasks` if the recipe says
/// so.
pub fn of_fusion(
    recipe: &Recipe,
    sites: Sites,
    heads: Vec<(String, Head)>,
    tasks: &[Task],
) -> Result<ItemModel, Error> {
    let mut model =
        Model { heads: by_task(heads)?, composition: Composition::Fusion(sites), routing: None };
    if recipe.settings.refit_heads {
        model.heads = recipe.recipes.judge()?.refit(&model, tasks)?;
    }
    let Composition::Fusion(sites) = model.composition else {
        unreachable!("it was made a fusion above")
    };
    let (rank, sites) = one_rank(sites)?;
    let base = &recipe.recipes.forge.identity().config;
    let [config, factors] =
        peft::write_factors(base.family, base.gated, rank, rank as f64, &sites)?;
    let mut files = of_heads(&model.heads)?;
    files.insert("adapter_config.json".into(), config);
    files.insert("adapter_model.safetensors".into(), factors);
    Ok(ItemModel { files, ..ItemModel::default() })
}

/// The files of heads.
pub fn of_heads(heads: &BTreeMap<String, Head>) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    heads.iter().map(|(task, head)| Ok((name(task), head.file()?))).collect()
}

/// The heads by their tasks, each of which may be there once.
pub fn by_task(heads: Vec<(String, Head)>) -> Result<BTreeMap<String, Head>, Error> {
    let mut by_task = BTreeMap::new();
    for (task, head) in heads {
        if by_task.insert(task.clone(), head).is_some() {
            return Err(Error::Merge { what: format!("two members are for the task {task}") });
        }
    }
    Ok(by_task)
}

/// The heads of the members' tasks.
pub fn heads(
    model: &ItemModel,
    modules: &[Module],
    features: usize,
) -> Result<BTreeMap<String, Head>, Error> {
    let of = |module: &Module| {
        let (task, name) = (module.card.task.clone(), name(&module.card.task));
        let head = Head::read(
            &Path::new(PLACE).join(&name),
            file(model, &name)?,
            &module.card.classes,
            features,
        )?;
        Ok((task, head))
    };
    modules.iter().map(of).collect()
}

/// The one network of an item's model.
pub fn fusion(model: &ItemModel, config: &VitConfig) -> Result<Composition, Error> {
    Ok(Composition::Fusion(sites(model, config)?))
}

/// The change of the base in the files of one network.
pub fn sites(model: &ItemModel, config: &VitConfig) -> Result<Sites, Error> {
    let peft::Adapter { rank, alpha, sites, .. } =
        peft::read(Path::new(PLACE), |name| Ok(file(model, name)?.to_vec()), config)?;
    if alpha == rank as f64 {
        Ok(sites)
    } else {
        Err(Error::ForgeHistory {
            what: format!("{PLACE} has the scale {alpha}/{rank} in place of 1"),
        })
    }
}

/// One of the model's files.
pub fn file<'a>(model: &'a ItemModel, name: &str) -> Result<&'a [u8], Error> {
    let missing = || Error::ForgeHistory { what: format!("{PLACE} has no {name}") };
    model.files.get(name).map(Vec::as_slice).ok_or_else(missing)
}

fn name(task: &str) -> String {
    format!("heads/{task}.safetensors")
}
