//! Forges in a folder: what their tests share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::recipe::{Method, Recipe, RecipeSettings, Recipes, SearchSets};
use super::*;
use crate::contribution::tests::{OPTIONS, base, key, parts};
use crate::contribution::{self, Options, Parts};
use crate::{Error, merge};

mod contributors;
mod damage;
mod merging;
mod pushing;
mod returning;

/// A method whose file holds the previous file and the name of the new member. So the order and
/// every model in between count.
struct Chain(u64);

impl Merge for Chain {
    fn settings(&self) -> Value {
        json!({"method": "chain", "seed": self.0})
    }

    fn merge(
        &self,
        previous: Option<&ItemModel>,
        members: &dyn Members,
    ) -> Result<ItemModel, Error> {
        let mut file = previous.map(|model| model.files["chain"].clone()).unwrap_or_default();
        let newest = members.len() - 1;
        file.extend(
            format!("{}:{}:{}\n", self.0, members.name(newest), members.digest(newest))
                .into_bytes(),
        );
        Ok(ItemModel {
            record: json!({"count": members.len()}),
            files: BTreeMap::from([("chain".into(), file)]),
        })
    }
}

/// The methods of a forge, leaked so that they live as long as the test.
pub fn recipes(forge: &Forge) -> &Recipes<'_> {
    Box::leak(Box::new(Recipes::new(forge, &|_, _| ())))
}

fn average(forge: &Forge) -> Recipe<'_> {
    let method = Method::Free(merge::Options::new(merge::Method::Average));
    recipes(forge)
        .method(RecipeSettings {
            method,
            condensed: SearchSets::SoFar,
            refit_heads: false,
            routing: false,
        })
        .unwrap()
}

fn methods(forge: &Forge) -> Methods<'_> {
    let recipes = recipes(forge);
    Box::leak(Box::new(move |settings: &Value| match settings["method"].as_str() {
        Some("chain") => Ok(Box::new(Chain(settings["seed"].as_u64().unwrap())) as Box<dyn Merge>),
        _ => recipes.recorded(settings),
    }))
}

pub const FORGE: u8 = 9;

/// A forge of hospitals 1, 2, 3, whose keys are those of these numbers.
pub fn forge() -> (tempfile::TempDir, Forge) {
    let dir = tempfile::tempdir().unwrap();
    let contributors = (1..=3).map(|n| (format!("hospital {n}"), key(n).verifying_key())).collect();
    let forge =
        Forge::init(dir.path().to_str().unwrap(), &base(), &contributors, &key(FORGE)).unwrap();
    (dir, forge)
}

fn signed(hospital: u8, task: &str, counter: u64, seed: usize, signer: u8) -> Vec<u8> {
    let parts = parts(&base(), &format!("hospital {hospital}"), task, seed);
    let options = Options { counter, ..OPTIONS };
    contribution::build(&parts, options, &base().identity(), &key(signer)).unwrap().bytes().to_vec()
}

fn push(forge: &Forge, hospital: u8, task: &str, counter: u64) -> Result<u64, Error> {
    let bytes = signed(hospital, task, counter, usize::from(hospital) + counter as usize, hospital);
    forge.push(Path::new("x.contribution"), bytes).map(|(number, _)| number)
}

pub fn merge(forge: &Forge, method: &dyn Merge) -> u64 {
    forge.merge(method, &key(FORGE)).unwrap().unwrap().manifest().number
}

fn members(forge: &Forge, number: u64) -> Vec<String> {
    let content = forge.content(forge.item(number).unwrap().manifest()).unwrap();
    content.members.into_iter().map(|member| member.name).collect()
}

/// Every file of the forge with its bytes.
fn everything(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(everything(&path))
        } else {
            drop(found.insert(path.clone(), std::fs::read(path).unwrap()))
        }
    }
    found
}
