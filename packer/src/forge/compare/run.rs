//! Running a comparison: each model is built, asked and measured.

use std::collections::BTreeMap;

use medforge_runtime::bundle::Verified;
use serde_json::Value;

use super::candidates::{Candidate, candidates, methods, words};
use super::comparison::{Comparison, OWN_MODULES, Outcome, Question, Row, THIS_ITEM};
use super::judge::Judges;
use crate::eval::{self, bootstrap};
use crate::forge::Item;
use crate::forge::recipe::{RecipeSettings, Recipes};
use crate::lora::Module;
use crate::merge::compose;
use crate::merge::model::{Composition, Model};
use crate::{Error, interrupt};

/// Compares methods on the members of `item`. `tell` is called with the number of rows done, of how
/// many, and the name of the next.
///
/// # Errors
/// [`Error::Evaluation`] for a question that does not fit the item, [`Error::OtherClasses`],
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
    let members = forge.members(&content);
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
        let model = recipes.method(settings.clone()).and_then(|recipe| {
            let model = forge.build_model(&recipe, &content.members, item.push, None)?;
            recipes.read(&settings.method, &model, &members, &modules)
        });
        let outcome = match model {
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
        .map_or("?".to_owned(), |s: RecipeSettings| words(&s));
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

/// Refuses methods and images that do not fit the item's members.
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

/// A module as a model of its own task.
fn alone(module: &Module) -> Model {
    let heads = BTreeMap::from([(module.card.task.clone(), module.head.clone())]);
    Model { heads, composition: Composition::Fusion(compose::sites(module)), routing: None }
}
