//! Merged models' folders: what is written reads back, what does not belong is refused.

use std::fs;
use std::path::PathBuf;

use crate::base::Family;
use crate::base::tests::{FAMILIES, small};
use crate::device::cpu::Cpu;
use crate::lora::tests::module;
use crate::merge::{Method, merge};
use crate::predict::Predictor;

use super::*;

fn two(vit: &Vit) -> [Module; 2] {
    let [mut x, mut y] = [module(vit, "q,v", None), module(vit, "v,fc1", Some(1))];
    (x.card.task, y.card.task) = ("breast".into(), "lung".into());
    (x.card.licence, y.card.licence) = ("MIT".into(), "CC-BY-4.0".into());
    y.head.bias.data = vec![3.0, 4.0];
    [x, y]
}

fn model(vit: &Vit) -> MergedModel {
    let [x, y] = two(vit);
    let options = Options { weights: vec![1.0, 0.5], ..Options::new(Method::TaskArithmetic) };
    MergedModel::new(merge(&[&x, &y], &options, &[]).unwrap(), &[&x, &y], &options).unwrap()
}

fn written(model: &MergedModel) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("heads")).unwrap();
    for (name, bytes) in model.files().unwrap() {
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    dir
}

#[test]
fn a_written_model_reads_back_the_same_task_by_task() {
    for family in FAMILIES {
        let vit = small(family);
        let model = model(&vit);
        let read = MergedModel::open(written(&model).path(), &vit).unwrap();
        assert_eq!((&read.record, read.files().unwrap()), (&model.record, model.files().unwrap()));
        assert_eq!(read.tasks().collect::<Vec<_>>(), ["breast", "lung"]);
        for (task, own) in ["breast", "lung"].into_iter().zip(two(&vit)) {
            let module = read.module(task).unwrap();
            assert_eq!((module.rank, module.scale(), &module.head.bias), (4, 1.0, &own.head.bias));
            assert_eq!(
                (module.card.task.as_str(), module.card.licence.as_str()),
                (task, "CC-BY-4.0 AND MIT")
            );
            // It is a module like any other: it runs, and its own folder reads back.
            let side = module.card.image_size as usize;
            let pixels = vec![0.5; 3 * side * side];
            let cpu = Cpu::<f32>::new();
            let feature =
                Predictor::new(&cpu, &vit, Some(&module), side).features(&pixels).unwrap();
            assert!(feature.iter().all(|v| v.is_finite()));
            let dir = tempfile::tempdir().unwrap();
            module
                .files()
                .unwrap()
                .iter()
                .for_each(|(n, b)| fs::write(dir.path().join(n), b).unwrap());
            assert_eq!(Module::open(dir.path(), &vit).unwrap().card, module.card);
        }
        assert!(read.module("colon").is_none());
    }
}

#[test]
fn two_modules_for_one_task_are_refused() {
    let vit = small(Family::Dinov2);
    let own = module(&vit, "q", None);
    let options = Options::new(Method::Average);
    let merged = merge(&[&own, &own], &options, &[]).unwrap();
    let said = MergedModel::new(merged, &[&own, &own], &options).unwrap_err().to_string();
    assert!(said.contains("two modules are for the task breast"), "{said}");
}

/// The error of opening a good folder after one change.
fn refusal(change: impl FnOnce(PathBuf)) -> String {
    let vit = small(Family::Dinov2);
    let dir = written(&model(&vit));
    change(dir.path().to_owned());
    MergedModel::open(dir.path(), &vit).expect_err("the folder is refused").to_string()
}

fn edit(dir: PathBuf, change: impl FnOnce(&mut serde_json::Value)) {
    let path = dir.join(RECORD);
    let mut json = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut json);
    fs::write(path, json.to_string()).unwrap();
}

#[test]
fn a_record_that_no_merge_writes_is_refused() {
    use serde_json::{Value, json};
    let record = |change: fn(&mut Value)| refusal(|dir| edit(dir, change));
    for (said, word) in [
        (record(|r| r["format"] = json!("medforge-module")), "medforge-merge version 1"),
        (record(|r| r["version"] = json!(2)), "version 2"),
        (record(|r| r["extra"] = json!(1)), "unknown field"),
        (record(|r| r["base_digest"] = json!("other")), "the base other"),
        (record(|r| r["family"] = json!("vit")), "base"),
        (record(|r| r["preprocessing"]["mean"][0] = json!(0.123)), "prepared"),
        (record(|r| r["options"]["method"] = json!("mean")), "none of average"),
        (record(|r| r["options"]["density"] = json!(2.0)), "density"),
        (record(|r| r["options"]["weights"] = json!([1.0])), "weights"),
        (record(|r| r["members"][0]["task"] = json!("../breast")), "no task's name"),
        (record(|r| r["members"][0]["task"] = json!("lung")), "twice"),
        (record(|r| r["members"][0]["classes"] = json!(["a"])), "classes"),
        (record(|r| r["members"][0]["classes"] = json!(["a", "b", "c"])), "weight has shape"),
        (record(|r| r["factors"] = json!("0")), "other factors"),
        (
            refusal(|dir| fs::remove_file(dir.join("heads/lung.safetensors")).unwrap()),
            "heads/lung.safetensors",
        ),
        (
            refusal(|dir| fs::write(dir.join("adapter_model.safetensors"), b"x").unwrap()),
            "adapter_model",
        ),
        (refusal(|dir| fs::remove_file(dir.join(RECORD)).unwrap()), RECORD),
    ] {
        assert!(said.contains(word), "{said}: {word}");
    }
}
