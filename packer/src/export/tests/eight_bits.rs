//! Eight bits: their cost, their golden vectors, and data that cannot tell.

use std::path::Path;

use medforge_runtime::classify::{self, Precision};

use super::*;
use crate::data::Dataset;

/// Images of two classes, each of two groups, in the test split.
fn images(dir: &Path, classes: [&str; 2]) -> Dataset {
    let mut rows = String::from("path,label,group,split\n");
    for i in 0..12_u8 {
        let data =
            (0..20 * 20 * 3).map(|p: usize| (p * (17 + usize::from(i)) % 241) as u8).collect();
        let image = image::RgbImage::from_raw(20, 20, data).unwrap();
        image.save(dir.join(format!("{i}.png"))).unwrap();
        let split = if i < 4 { "train" } else { "test" };
        rows += &format!("{i}.png,{},g{},{split}\n", classes[usize::from(i % 2)], i);
    }
    std::fs::write(dir.join("splits.csv"), rows).unwrap();
    Dataset::open(dir).unwrap()
}

/// A small bundle without eight bits, and images of its task.
struct Plain {
    bytes: Vec<u8>,
    task: String,
    data: BTreeMap<String, Dataset>,
    _dir: tempfile::TempDir,
}

fn plain() -> Plain {
    let vit = small(Family::Dinov2);
    let module = module(&vit, ALL, None);
    let task = module.card.task.clone();
    let dir = tempfile::tempdir().unwrap();
    let classes = [module.card.classes[0].as_str(), module.card.classes[1].as_str()];
    let data = BTreeMap::from([(task.clone(), images(dir.path(), classes))]);
    let bytes = build_bundle(&vit, std::slice::from_ref(&module), &options(), &[key()]).unwrap();
    Plain { bytes, task, data, _dir: dir }
}

fn eight() -> classify::Options {
    classify::Options { precision: Precision::Int8, ..Default::default() }
}

#[test]
fn eight_bits_are_measured_written_and_checked_like_all_the_rest() {
    let Plain { bytes, task, data, .. } = &plain();
    let error = Classifier::load_with(&verified(bytes.clone()), eight()).err().unwrap();
    assert!(matches!(error, RuntimeError::Precision { .. }), "{error}");

    let measured = int8::measured(bytes, data, &[key()]).unwrap();
    let cost = verified(measured.clone()).manifest().int8[task].clone();
    assert!(
        cost.n == 8 && cost.low <= cost.int8 - cost.f32 && cost.int8 - cost.f32 <= cost.high,
        "{cost:?}"
    );
    let card =
        String::from_utf8(verified(measured.clone()).entry("model_card.md").unwrap().to_vec())
            .unwrap();
    assert!(card.contains("In eight bits") && card.contains(task), "{card}");
    let exact = load(measured.clone()).unwrap().classify(picture(9, 9).view(), None).unwrap();
    let classifier = Classifier::load_with(&verified(measured.clone()), eight()).unwrap();
    let rounded = classifier.classify(picture(9, 9).view(), None).unwrap();
    assert_ne!(exact.probabilities, rounded.probabilities);
    let worst = exact
        .probabilities
        .iter()
        .zip(&rounded.probabilities)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    assert!(worst < 0.05, "{worst}");
    assert!(classifier.memory().base < load(measured).unwrap().memory().base);
}

#[test]
fn a_device_that_disagrees_in_eight_bits_is_refused_in_eight_bits_alone() {
    let Plain { bytes, task, data, .. } = &plain();
    let bundle = verified(int8::measured(bytes, data, &[key()]).unwrap());
    let mut payload = payload(&bundle);
    change_tensors(payload.get_mut("golden.safetensors").unwrap(), |all| {
        let feature = all.get_mut(&format!("int8.feature.{task}")).unwrap();
        feature.data.iter_mut().for_each(|v| *v *= 1.5);
    });
    let manifest = Manifest { entries: list(&payload), ..bundle.manifest().clone() };
    let forged = assemble(&manifest, &payload, &[key()]).unwrap();
    assert!(load(forged.clone()).is_ok(), "in 32 bits nothing is wrong");
    let error = Classifier::load_with(&verified(forged), eight()).err().unwrap();
    assert!(matches!(error, RuntimeError::GoldenMismatch { .. }), "{error}");
}

#[test]
fn images_that_do_not_fit_the_tasks_are_refused() {
    let Plain { bytes, task, data, .. } = &plain();
    let other = images(tempfile::tempdir().unwrap().path(), ["x", "y"]);
    for (data, words) in [
        (BTreeMap::new(), "no images of"),
        (BTreeMap::from([("other".to_owned(), data[task].clone())]), "no task other"),
        (BTreeMap::from([(task.clone(), other)]), "has the classes"),
    ] {
        let error = int8::measured(bytes, &data, &[key()]).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}
