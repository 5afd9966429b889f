//! The methods of [`crate::merge`] as a forge uses them: made from the settings that an item
//! records, each giving the same bytes whenever it is asked again.
//!
//! Everything runs on the processor, since what a GPU rounds differs from one maker to the next and
//! items are made again elsewhere. Refused: settings that no command line gives, RegMean where a
//! contributor gave no Gram matrices, two members for one task.

use std::cell::OnceCell;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Content, Forge, Known, Made, Members, Merge};
use crate::Error;
use crate::base::Vit;
use crate::device::cpu::Cpu;
use crate::lora::Module;
use crate::merge::compose::{Features, Judge};
use crate::merge::model::{Composition, Model};
use crate::merge::{Options, Task, fusion, mixture};

mod files;
mod free;
mod fused;
mod mixed;
mod routed;
#[cfg(test)]
pub(super) mod tests;

/// A method and all of its numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub method: Method,
    /// Whose condensed sets a search sees.
    pub condensed: Seen,
    /// Fit each task's head again on its condensed set under the merged network.
    pub refit_heads: bool,
    /// Add what tells an image's task where nobody says it; a routed model has it anyway.
    pub routing: bool,
}

/// How members become one model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// One network, without data, of all members at once.
    Free(Options),
    /// One network, the previous model on one side and the new member on the other.
    Fusion(fusion::FusionSettings),
    /// Every member's network, their probabilities weighted.
    Mixture(Mixture),
    /// Every member's network, weighted for each image by what the base sees in it.
    Routed,
}

/// How a mixture's weights are found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mixture {
    /// All weights together, else the new one beside the old ones scaled.
    pub joint: bool,
    pub search: mixture::MixtureSettings,
}

/// Whose condensed sets a search sees.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seen {
    /// The members'.
    SoFar,
    /// The members', and what else was pushed up to this number.
    All(u64),
}

/// More evaluations than any search needs.
const MOST_EVALUATIONS: usize = 100_000;

/// Makes methods of settings, all on one base, which is read when the first needs it.
pub struct Recipes<'a> {
    pub(super) forge: &'a Forge,
    pub(super) device: Cpu<f32>,
    vit: OnceCell<Vit>,
    /// Told how many evaluations of a search are done, and of how many.
    step: &'a dyn Fn(usize, usize),
    /// Of condensed sets; where there is none, each merge forgets what it saw, so that a long
    /// history needs little memory.
    features: Option<Features>,
}

/// A method with the base that it works on.
pub struct Recipe<'a> {
    settings: Settings,
    recipes: &'a Recipes<'a>,
}

impl Method {
    /// As written on the command line.
    pub fn name(&self) -> &'static str {
        match self {
            Method::Free(options) => options.method.name(),
            Method::Fusion(_) => "fusion",
            Method::Mixture(_) => "mixture",
            Method::Routed => "routed",
        }
    }
}

impl Settings {
    /// The method's name, of the settings that an item records; `?` for those of an unknown method.
    pub fn method_name(recorded: &Value) -> &'static str {
        serde_json::from_value(recorded.clone()).map_or("?", |known: Settings| known.method.name())
    }

    /// Refuses numbers out of range and combinations without meaning.
    fn check(&self) -> Result<(), Error> {
        let refuse = |what: &str| Err(Error::Merge { what: what.into() });
        let evaluations = match &self.method {
            Method::Free(options) => {
                if !options.weights.is_empty() {
                    return refuse(
                        "a forge's members come and go; weights of their own are not for it",
                    );
                }
                options.check(1)?;
                1
            }
            Method::Fusion(search) => search.evaluations,
            Method::Mixture(mixture) if mixture.search.shares => 1,
            Method::Mixture(mixture) => mixture.search.evaluations,
            Method::Routed => 1,
        };
        if !(1..=MOST_EVALUATIONS).contains(&evaluations) {
            return Err(Error::Merge {
                what: format!("{evaluations} evaluations are not 1 to {MOST_EVALUATIONS}"),
            });
        }
        let one_network = matches!(self.method, Method::Free(_) | Method::Fusion(_));
        if self.refit_heads && !one_network {
            return refuse(
                "heads are refitted under one network; a mixture or a routed model has several",
            );
        }
        let searches = matches!(self.method, Method::Fusion(_) | Method::Mixture(_));
        if self.condensed != Seen::SoFar && !searches {
            return refuse("only fusion and mixture search on condensed sets, so-far or all");
        }
        Ok(())
    }
}

impl<'a> Recipes<'a> {
    pub fn new(forge: &'a Forge, step: &'a dyn Fn(usize, usize)) -> Self {
        Recipes { forge, device: Cpu::new(), vit: OnceCell::new(), step, features: None }
    }

    /// The same with the features of condensed sets kept for all methods.
    pub(super) fn remembering(self) -> Self {
        Recipes { features: Some(Features::default()), ..self }
    }

    /// The method of `settings`.
    ///
    /// # Errors
    /// [`Error::Merge`] for numbers out of range.
    pub fn method(&self, settings: Settings) -> Result<Recipe<'_>, Error> {
        settings.check()?;
        Ok(Recipe { settings, recipes: self })
    }

    /// The method that an item records.
    ///
    /// # Errors
    /// [`Error::UnknownMethod`].
    pub fn recorded(&self, settings: &Value) -> Result<Box<dyn Merge + '_>, Error> {
        let unknown = || Error::UnknownMethod { settings: settings.to_string() };
        let known: Settings = serde_json::from_value(settings.clone()).map_err(|_| unknown())?;
        Ok(Box::new(self.method(known).map_err(|_| unknown())?))
    }

    /// The model that an item holds, and its members' modules in their order.
    ///
    /// # Errors
    /// Damage to the store, [`Error::UnknownMethod`], [`Error::Merge`] for an item without members.
    pub fn model(
        &self,
        settings: &Value,
        content: &Content,
    ) -> Result<(Model, Vec<Module>), Error> {
        let unknown = |_| Error::UnknownMethod { settings: settings.to_string() };
        let known: Settings = serde_json::from_value(settings.clone()).map_err(unknown)?;
        if content.members.is_empty() {
            return Err(Error::Merge { what: "the item has no member left".into() });
        }
        let members = self.forge.shelf(content);
        let modules =
            (0..members.len()).map(|i| members.module(i)).collect::<Result<Vec<_>, _>>()?;
        Ok((self.read(&known.method, &self.forge.made(content)?, &members, &modules)?, modules))
    }

    /// The model that `method` made of `members`, whose `modules` these are.
    pub(super) fn read(
        &self,
        method: &Method,
        made: &Made,
        members: &dyn Members,
        modules: &[Module],
    ) -> Result<Model, Error> {
        let heads = files::heads(made, modules, self.vit()?.config.features())?;
        let composition = match method {
            Method::Free(_) | Method::Fusion(_) => files::fusion(made, &self.vit()?.config)?,
            Method::Mixture(_) => mixed::composition(made, members, modules)?,
            Method::Routed => routed::composition(modules),
        };
        let routing = routed::routing(made, modules)?;
        if routing.is_none() && matches!(composition, Composition::Routed { .. }) {
            return Err(Error::ForgeHistory {
                what: "the item's routed model has no routing".into(),
            });
        }
        Ok(Model { heads, composition, routing })
    }

    /// The base.
    pub fn vit(&self) -> Result<&Vit, Error> {
        if let Some(vit) = self.vit.get() {
            return Ok(vit);
        }
        let vit = self.forge.base()?;
        Ok(self.vit.get_or_init(|| vit))
    }

    pub(super) fn judge(&self) -> Result<Judge<'_, Cpu<f32>>, Error> {
        let features = self.features.clone().unwrap_or_default();
        Ok(Judge::sharing(&self.device, self.vit()?, &features))
    }
}

impl Merge for Recipe<'_> {
    fn settings(&self) -> Value {
        serde_json::to_value(&self.settings).expect("settings are plain data")
    }

    fn sequential(&self) -> bool {
        matches!(self.settings.method, Method::Fusion(_) | Method::Mixture(_))
    }

    fn goes_on_from(&self, settings: &Value) -> bool {
        let Ok(before) = serde_json::from_value::<Settings>(settings.clone()) else { return false };
        match (&self.settings.method, &before.method) {
            (Method::Fusion(_), Method::Fusion(_) | Method::Free(_)) => true,
            (Method::Mixture(own), Method::Mixture(old)) => {
                own.joint == old.joint && own.search.per_task == old.search.per_task
            }
            _ => false,
        }
    }

    fn merge(&self, previous: Option<&Made>, members: &dyn Members) -> Result<Made, Error> {
        let mut made = match &self.settings.method {
            Method::Free(options) => free::merge(self, options, members),
            Method::Fusion(search) => fused::merge(self, search, previous, members),
            Method::Mixture(mixture) => mixed::merge(self, mixture, previous, members),
            Method::Routed => routed::merge(members),
        }?;
        if self.settings.routing || self.settings.method == Method::Routed {
            routed::add(self, members, &mut made)?;
        }
        Ok(made)
    }
}

impl Recipe<'_> {
    /// The tasks whose condensed sets a search sees: the members' in their order, then what else it
    /// may see.
    fn known(&self, members: &dyn Members) -> Result<Vec<Known>, Error> {
        let mut known = known(members)?;
        if let Seen::All(until) = self.settings.condensed {
            known.extend(members.later(until)?);
        }
        Ok(known)
    }
}

/// The members' tasks in their order.
pub(super) fn known(members: &dyn Members) -> Result<Vec<Known>, Error> {
    let own = |i| {
        let (id, task) = (members.digest(i).into(), task(members, i).into());
        Ok(Known { id, task, head: members.head(i)?, set: members.condensed(i)? })
    };
    (0..members.len()).map(own).collect()
}

/// The tasks as a judge takes them.
pub(super) fn judged(known: &[Known]) -> Vec<Task<'_>> {
    known
        .iter()
        .map(|known| Task { name: &known.task, head: &known.head, set: &known.set })
        .collect()
}

/// The task of a member, whose name is `CONTRIBUTOR/TASK`.
fn task(members: &dyn Members, i: usize) -> &str {
    let name = members.name(i);
    name.rsplit_once('/').map_or(name, |(_, task)| task)
}
