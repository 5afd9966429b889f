//! The files of an item's model: `heads/TASK.safetensors`; for one network `adapter_config.json`
//! and `adapter_model.safetensors` as PEFT has them.

use std::collections::BTreeMap;
use std::path::Path;

use super::Recipe;
use crate::Error;
use crate::base::VitConfig;
use crate::forge::Made;
use crate::lora::{Head, Module, peft};
use crate::merge::model::{Composition, Model};
use crate::merge::{Sites, Task, one_rank};

const PLACE: &str = "the item's model";

/// The files of one network with its heads, which are refitted on `tasks` if the recipe says so.
pub fn of_fusion(
    recipe: &Recipe,
    sites: Sites,
    heads: Vec<(String, Head)>,
    tasks: &[Task],
) -> Result<Made, Error> {
    let mut model =
        Model { heads: by_task(heads)?, composition: Composition::Fusion(sites), routing: None };
    if recipe.settings.refit_heads {
        model.heads = recipe.recipes.judge()?.refit(&model, tasks)?;
    }
    let Composition::Fusion(sites) = model.composition else {
        unreachable!("it was made a fusion above")
    };
    let (rank, sites) = one_rank(sites)?;
    let family = recipe.recipes.forge.identity().config.family;
    let [config, factors] = peft::write_factors(family, rank, rank as f64, &sites)?;
    let mut files = of_heads(&model.heads)?;
    files.insert("adapter_config.json".into(), config);
    files.insert("adapter_model.safetensors".into(), factors);
    Ok(Made { files, ..Made::default() })
}

pub fn of_heads(heads: &BTreeMap<String, Head>) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    heads.iter().map(|(task, head)| Ok((name(task), head.file()?))).collect()
}

/// Heads by their tasks, of which each is there once.
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
    made: &Made,
    modules: &[Module],
    features: usize,
) -> Result<BTreeMap<String, Head>, Error> {
    let of = |module: &Module| {
        let (task, name) = (module.card.task.clone(), name(&module.card.task));
        let head = Head::read(
            &Path::new(PLACE).join(&name),
            file(made, &name)?,
            &module.card.classes,
            features,
        )?;
        Ok((task, head))
    };
    modules.iter().map(of).collect()
}

/// The one network of an item's model.
pub fn fusion(made: &Made, config: &VitConfig) -> Result<Composition, Error> {
    Ok(Composition::Fusion(sites(made, config)?))
}

/// The change that one network's files hold.
pub fn sites(made: &Made, config: &VitConfig) -> Result<Sites, Error> {
    let peft::Adapter { rank, alpha, sites, .. } =
        peft::read(Path::new(PLACE), |name| Ok(file(made, name)?.to_vec()), config)?;
    if alpha == rank as f64 {
        Ok(sites)
    } else {
        Err(Error::ForgeHistory {
            what: format!("{PLACE} has the scale {alpha}/{rank} in place of 1"),
        })
    }
}

/// One of the model's files.
pub fn file<'a>(made: &'a Made, name: &str) -> Result<&'a [u8], Error> {
    let missing = || Error::ForgeHistory { what: format!("{PLACE} has no {name}") };
    made.files.get(name).map(Vec::as_slice).ok_or_else(missing)
}

fn name(task: &str) -> String {
    format!("heads/{task}.safetensors")
}
