//! Comparisons on a small base: what their tests share.

use std::collections::BTreeMap;

use medforge_runtime::image::RgbImage8;
use serde_json::Value;

use super::super::recipe::tests::{own_parts, push_parts};
use super::super::tests::{FORGE, forge, merge, recipes};
use super::*;
use crate::Error;
use crate::contribution::Parts;
use crate::contribution::tests::{base, key};
use crate::data::{Dataset, phantom};
use crate::forge::Forge;
use crate::forge::recipe::{RecipeSettings, Recipes};
use crate::merge::{self, Options, Sites, compose};
use crate::predict::linear_head;

mod by_hand;
mod figures;
mod refusals;
use by_hand::{by_hand, on_condensed, see};

const RESAMPLES: usize = 200;
const SEED: u64 = 3;

/// A hospital's parts. The head tells the classes of most images in these tests apart, but not of
/// all.
fn parts(n: u8) -> Parts {
    let mut parts = own_parts(n);
    let (_dir, data) = images(CLASSES, 6, [5, 11, 7][usize::from(n) - 1]);
    let (images, features) = see(&whole(), &data);
    let labels: Vec<f32> = images
        .labels()
        .iter()
        .flat_map(|l| [*l == 0, *l == 1].map(|y| f32::from(u8::from(y))))
        .collect();
    parts.module.head = linear_head(&features.concat(), &labels, &data.classes).unwrap();
    parts
}

/// The mean of the three hospitals' changes.
fn whole() -> Sites {
    let modules = [1, 2, 3].map(|n| own_parts(n).module);
    merge::merge(&modules.each_ref(), &Options::new(merge::Method::Average), &[]).unwrap().sites
}

/// A forge in which three contributions were merged by `settings`.
fn merged(settings: &Value) -> (tempfile::TempDir, Forge) {
    let (dir, forge) = forge();
    (1..=3).for_each(|n| push_parts(&forge, n, &parts(n)));
    for _ in 1..=3 {
        merge(&forge, &*recipes(&forge).recorded(settings).unwrap());
    }
    (dir, forge)
}

fn average() -> Value {
    let method = crate::forge::recipe::Method::Free(Options {
        seed: SEED,
        ..Options::new(merge::Method::Average)
    });
    let condensed = crate::forge::recipe::SearchSets::SoFar;
    serde_json::to_value(RecipeSettings { method, condensed, refit_heads: false, routing: false })
        .unwrap()
}

/// A folder of 24 test images of these classes and `groups` patients. `shift` varies the pixels.
fn images(classes: [&str; 2], groups: usize, shift: usize) -> (tempfile::TempDir, Dataset) {
    let dir = tempfile::tempdir().unwrap();
    let mut rows = "path,label,group,split\n".to_owned();
    for i in 0..28 {
        // One class is brighter, except in every fifth image.
        let bright = if (i % 2 == 1) != (i % 5 == 0) { 100 } else { 0 };
        let pixels =
            (0..192).map(|p| (bright + (p * (13 + i * shift) + p * p / 7) % 150) as u8).collect();
        let png = phantom::png(&RgbImage8::new(pixels, 8, 8).unwrap()).unwrap();
        std::fs::write(dir.path().join(format!("{i}.png")), png).unwrap();
        let (class, split) = (classes[i % 2], if i < 24 { "test" } else { "train" });
        let group = if i < 24 { format!("g{}", i / 2 % groups) } else { format!("t{i}") };
        rows += &format!("{i}.png,{class},{group},{split}\n");
    }
    std::fs::write(dir.path().join("splits.csv"), rows).unwrap();
    let data = Dataset::open(dir.path()).unwrap();
    (dir, data)
}

const CLASSES: [&str; 2] = ["benign", "malignant"];

fn ask(
    forge: &Forge,
    data: &BTreeMap<String, Dataset>,
    methods: &[&str],
    refit: bool,
) -> Result<Comparison, Error> {
    let methods: Vec<String> = methods.iter().map(|m| (*m).to_owned()).collect();
    let question = Question { data, methods: &methods, refit, seed: SEED, resamples: RESAMPLES };
    let item = forge.tip().unwrap().unwrap();
    compare(Recipes::new(forge, &|_, _| ()), &item, &question, &|_, _, _| ())
}

fn found<'a>(comparison: &'a Comparison, name: &str) -> &'a Figures {
    let row = comparison.rows.iter().find(|row| row.name == name);
    row.and_then(Row::figures).unwrap_or_else(|| panic!("{name}: {:?}", comparison.rows))
}

fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-4, "{found} {expected}");
}
