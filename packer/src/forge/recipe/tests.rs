//! Every method in a forge. Items are the same when rebuilt, and hold the model that the methods
//! give outside of a forge.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::super::tests::{FORGE, forge, merge, recipes};
use super::*;
use crate::contribution::tests::{OPTIONS, base, key, parts};
use crate::contribution::{self, Parts};
use crate::device::cpu::Cpu;
use crate::forge::{Forge, TaskData};
use crate::lora::Factors;
use crate::lora::tests::dora;
use crate::merge::compose::{self, Judge};
use crate::merge::fusion::FusionSettings;
use crate::merge::mixture::MixtureSettings;
use crate::merge::model::{Composition, Model};
use crate::merge::{self, Options, Sites, fusion};

mod free;
mod searches;
mod settings;

/// A hospital's parts, with two different images of each class.
pub fn own_parts(n: u8) -> Parts {
    let task = ["breast", "lung", "colon"][usize::from(n) - 1];
    let mut parts = parts(&base(), &format!("hospital {n}"), task, 3 * usize::from(n));
    let set = &mut parts.condensed;
    let side = set.record.image_size as usize;
    set.labels = [[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]].concat();
    let pixel = |i: usize| ((i * (37 + 2 * usize::from(n)) + i / 101) % 256) as f32 / 256.0;
    set.images = (0..4 * 3 * side * side).map(pixel).collect();
    set.record.per_class = 2;
    parts
}

pub fn push(forge: &Forge, n: u8) {
    push_parts(forge, n, &own_parts(n));
}

pub fn push_parts(forge: &Forge, n: u8, parts: &Parts) {
    let contribution = contribution::build(parts, OPTIONS, &base().identity(), &key(n)).unwrap();
    forge.push(Path::new("x"), contribution.bytes().to_vec()).unwrap();
}

fn settings(method: Method) -> RecipeSettings {
    RecipeSettings { method, condensed: SearchSets::SoFar, refit_heads: false, routing: false }
}

fn free(method: merge::Method) -> Method {
    Method::Free(Options::new(method))
}

fn fusion(level: fusion::Level, finder: fusion::Finder) -> Method {
    Method::Fusion(FusionSettings { level, finder, evaluations: 4, seed: 1 })
}

fn mixture(joint: bool, per_task: bool, shares: bool) -> Method {
    Method::Mixture(Mixture {
        joint,
        search: MixtureSettings { per_task, shares, evaluations: 12, seed: 1 },
    })
}

/// A forge with three contributions merged, and the model of its newest item.
fn merged(settings: &RecipeSettings) -> (tempfile::TempDir, Model, Value) {
    let (dir, forge) = forge();
    (1..=3).for_each(|n| push(&forge, n));
    let recipe = recipes(&forge).method(settings.clone()).unwrap();
    assert_eq!([1, 2, 3].map(|_| merge(&forge, &recipe)), [1, 2, 3]);
    let methods = recipes(&forge);
    assert_eq!(forge.verify(Some(&|settings| methods.recorded(settings))).unwrap().rebuilt, 3);
    let item = forge.tip().unwrap().unwrap();
    let content = forge.content(item.manifest()).unwrap();
    let (model, modules) = recipes(&forge).model(&item.manifest().settings, &content).unwrap();
    assert_eq!(modules.len(), 3);
    assert_eq!(model.heads.keys().collect::<Vec<_>>(), ["breast", "colon", "lung"]);
    (dir, model, content.record)
}

fn change(sites: &Sites, site: &str) -> Vec<f64> {
    let Factors { a, b, .. } = &sites[site];
    let (rank, inputs) = (a.shape[0], a.shape[1]);
    let at = |o: usize, i: usize| {
        (0..rank)
            .map(|r| f64::from(b.data[o * rank + r]) * f64::from(a.data[r * inputs + i]))
            .sum::<f64>()
    };
    (0..b.shape[0]).flat_map(|o| (0..inputs).map(move |i| (o, i))).map(|(o, i)| at(o, i)).collect()
}

fn same(found: &Sites, expected: &Sites) {
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for site in found.keys() {
        for (f, e) in change(found, site).iter().zip(change(expected, site)) {
            assert!((f - e).abs() < 1e-5, "{site}: {f} {e}");
        }
    }
}

/// The members' condensed sets and heads, for a judge.
fn task_data() -> Vec<TaskData> {
    let of = |n: u8| {
        let parts = own_parts(n);
        let (name, head) = (parts.module.card.task.clone(), parts.module.head.clone());
        TaskData { id: String::new(), name, head, set: parts.condensed.rounded() }
    };
    [1, 2, 3].map(of).into()
}
