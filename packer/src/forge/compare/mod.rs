//! Every method on the members of one item, side by side: on the members' condensed sets and, where
//! the caller has them, on real images that the modules never saw. Each model is made as the forge
//! would make it; nothing is written to the forge.
//!
//! Refused: an item without members, methods that are not there, images of a task that the item has
//! not or of other classes. A method that cannot be used with these members gets a row that says
//! why.

use std::collections::BTreeMap;

use medforge_runtime::bundle::Verified;
use serde::Serialize;
use serde_json::Value;

use super::recipe::{Recipes, Settings};
use super::{Item, Made};
use crate::data::Dataset;
use crate::eval::{self, Estimate, bootstrap};
use crate::lora::Module;
use crate::merge::compose;
use crate::merge::model::{Composition, Model};
use crate::{Error, interrupt};

mod candidates;
mod judge;
mod page;
mod table;
#[cfg(test)]
mod tests;

pub use candidates::methods;
use candidates::{Candidate, candidates, words};
use judge::Judges;

/// What to compare, and on what.
pub struct Question<'a> {
    /// By task, the images of which the test split is asked about.
    pub data: &'a BTreeMap<String, Dataset>,
    /// Of [`methods`]; if empty all, regmean if every member gave Gram matrices.
    pub methods: &'a [String],
    /// Also with refitted heads.
    pub refit: bool,
    /// Of searches, of methods that draw, and of the bootstrap.
    pub seed: u64,
    /// Bootstrap resamples of whole groups.
    pub resamples: usize,
}

/// All methods on the members of one item.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The item's number and id.
    pub item: u64,
    pub id: String,
    /// How the item was made, in the words of `packer forge merge --method`.
    pub made_by: String,
    /// `CONTRIBUTOR/TASK`, in the order in which they came.
    pub members: Vec<String>,
    pub base_digest: String,
    pub tests: Vec<Test>,
    pub rows: Vec<Row>,
    pub seed: u64,
    pub resamples: usize,
    /// The part of resamples that an interval holds.
    pub level: f64,
}

/// Real images of one task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Test {
    pub task: String,
    pub images: usize,
    /// Patients.
    pub groups: usize,
    /// Why there are no intervals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_intervals: Option<String>,
}

/// A method.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// [`THIS_ITEM`], [`OWN_MODULES`], or what follows `packer forge merge --method`.
    pub name: String,
    /// As an item would record them; of the members' own modules none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<Value>,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What came of a method.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Figures(Box<Figures>),
    /// Why it cannot be used with these members.
    Refused(String),
}

/// How a model does.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// How many networks a device runs for one image, the task given.
    pub networks: usize,
    pub condensed: OnCondensed,
    /// By task with real images.
    pub real: BTreeMap<String, Scores>,
    /// The mean over these tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<Scores>,
}

/// On the members' condensed sets, the task given: the means over tasks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct OnCondensed {
    pub cross_entropy: f64,
    pub balanced_accuracy: f64,
}

/// On real images.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scores {
    /// The task given.
    pub balanced_accuracy: Estimate,
    /// The task given; none where one class alone has images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auc: Option<Estimate>,
    /// Balanced accuracy with the task unknown: an image taken for another task counts as wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_unknown: Option<Estimate>,
    /// The same once the item is made with `--routing`, which runs the base too; none where the
    /// condensed sets allow no routing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_unknown_routing: Option<Estimate>,
}

/// The row of the item itself.
pub const THIS_ITEM: &str = "this item";
/// The row of reference: each member's module on the images of its own task.
pub const OWN_MODULES: &str = "each its own module";

/// Compares methods on the members of `item`; `tell` hears how many rows are done, of how many, and
/// which is next.
///
/// # Errors
/// [`Error::Evaluation`] for a question that the item has no answer to, [`Error::OtherClasses`],
/// [`Error::Merge`] for an item without members, damage to the store.
pub fn compare(
    recipes: Recipes,
    item: &Verified<Item>,
    question: &Question,
    tell: &dyn Fn(usize, usize, &str),
) -> Result<Comparison, Error> {
    let recipes = recipes.remembering();
    let (forge, id, item) = (recipes.forge, item.id(), item.manifest());
    let content = forge.content(item)?;
    let (own, modules) = recipes.model(&item.settings, &content)?;
    check(question, &modules)?;
    let members = forge.shelf(&content);
    let judges = Judges::new(&recipes, &members, &modules, question)?;
    let candidates = candidates(question, &members)?;
    let count = candidates.len() + 2;

    tell(0, count, THIS_ITEM);
    let figures = |model: &Model| {
        judges.figures(|_| model, true).map(|figures| Outcome::Figures(Box::new(figures)))
    };
    let mut rows = vec![row(THIS_ITEM, Some(item.settings.clone()), figures(&own)?)];
    for Candidate { name, settings } in candidates {
        interrupt::check()?;
        tell(rows.len(), count, &name);
        let recorded = serde_json::to_value(&settings).expect("settings are plain data");
        let made = recipes.method(settings.clone()).and_then(|recipe| {
            let made: Made = forge.model(&recipe, &content.members, item.push, None)?;
            recipes.read(&settings.method, &made, &members, &modules)
        });
        let outcome = match made {
            Ok(model) => figures(&model)?,
            Err(error @ (Error::Merge { .. } | Error::Evaluation { .. })) => {
                Outcome::Refused(error.to_string())
            }
            Err(error) => return Err(error),
        };
        rows.push(row(&name, Some(recorded), outcome));
    }
    tell(rows.len(), count, OWN_MODULES);
    let alone: BTreeMap<&str, Model> =
        modules.iter().map(|m| (m.card.task.as_str(), alone(m))).collect();
    let figures = judges.figures(|task| &alone[task], false)?;
    rows.push(row(OWN_MODULES, None, Outcome::Figures(Box::new(figures))));

    let made_by = serde_json::from_value(item.settings.clone())
        .map_or("?".to_owned(), |s: Settings| words(&s));
    Ok(Comparison {
        item: item.number,
        id: id.to_owned(),
        made_by,
        members: content.members.iter().map(|member| member.name.clone()).collect(),
        base_digest: forge.root().base_digest.clone(),
        tests: judges.tests(),
        rows,
        seed: question.seed,
        resamples: question.resamples,
        level: bootstrap::LEVEL,
    })
}

/// Refuses what the item's members have no answer to.
fn check(question: &Question, modules: &[Module]) -> Result<(), Error> {
    if let Some(unknown) = question.methods.iter().find(|name| !methods().contains(&name.as_str()))
    {
        return Err(Error::Evaluation {
            what: format!("{unknown:?} is none of {}", methods().join(", ")),
        });
    }
    for (task, data) in question.data {
        let Some(module) = modules.iter().find(|module| module.card.task == *task) else {
            let tasks = modules
                .iter()
                .map(|module| module.card.task.as_str())
                .collect::<Vec<_>>()
                .join(", ");
            return Err(Error::Evaluation {
                what: format!("the item has no task {task:?}; it has {tasks}"),
            });
        };
        eval::check_classes(module, data)?;
    }
    Ok(())
}

fn row(name: &str, settings: Option<Value>, outcome: Outcome) -> Row {
    Row { name: name.to_owned(), settings, outcome }
}

/// A module with its own task alone.
fn alone(module: &Module) -> Model {
    let heads = BTreeMap::from([(module.card.task.clone(), module.head.clone())]);
    Model { heads, composition: Composition::Fusion(compose::sites(module)), routing: None }
}

impl Row {
    /// What was measured, unless the method was refused.
    pub fn figures(&self) -> Option<&Figures> {
        match &self.outcome {
            Outcome::Figures(figures) => Some(figures),
            Outcome::Refused(_) => None,
        }
    }
}
