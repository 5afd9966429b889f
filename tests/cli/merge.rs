//! Merging from the command line: a folder that PEFT loads, its record, and refusals that leave
//! nothing behind.

use serde_json::Value;

use super::*;

/// A workshop with the modules `x` and `y`, of unequal rank, sites and alpha, for two tasks.
fn with_modules() -> tempfile::TempDir {
    static MADE: OnceLock<tempfile::TempDir> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let dir = workshop();
        good(dir.path(), &format!("{TRAIN} --out x --licence MIT"));
        let other =
            TRAIN.replace("tissue", "other").replace("--rank 2 --alpha 4", "--rank 3 --alpha 3");
        good(
            dir.path(),
            &format!("{other} --targets v,fc1 --seed 1 --out y --contributor elsewhere"),
        );
        dir
    });
    let copy = tempfile::tempdir().unwrap();
    copy_folder(made.path(), copy.path());
    copy
}

const MERGE: &str = "merge --base base --module x --module y --out merged";

#[test]
fn a_dora_module_is_trained_and_packed_and_takes_part_in_no_merge() {
    let dir = with_modules();
    let at = dir.path();
    let lone = TRAIN.replace("tissue", "lone");
    good(at, &format!("{lone} --out d --dora --lora-dropout 0.2"));
    let json = |file: &str| -> Value {
        serde_json::from_slice(&std::fs::read(at.join(file)).unwrap()).unwrap()
    };
    assert_eq!(json("d/adapter_config.json")["use_dora"], true);
    let method = &json("d/module.json")["training"]["settings"]["method"]["lora"];
    assert_eq!((&method["dora"], &method["dropout"]), (&true.into(), &0.2.into()));
    good(at, "bundle --base base --module d --module x --key k.key --out d.medforge");
    assert!(good(at, "verify d.medforge --trust k.pub").contains("golden vectors agree"));
    for method in ["average", "ties", "svd"] {
        let said = refused(
            at,
            1,
            &format!("merge --base base --module x --module d --out merged --method {method}"),
        );
        assert!(
            said.contains("DoRA modules mix but do not fuse: module 2 (task lone, from unnamed)"),
            "{said}"
        );
    }
    assert!(!at.join("merged").exists());
    let said = refused(at, 1, &format!("{lone} --out e --lora-dropout 1"));
    assert!(said.contains("--lora-dropout"), "{said}");
}

#[test]
fn modules_become_one_model_with_a_head_for_each_task() {
    let dir = with_modules();
    let at = dir.path();
    let said = good(at, &format!("{MERGE} --method task-arithmetic --weight 1 --weight=-0.5"));
    assert!(
        said.contains("tissue, other") && said.contains("rank 5") && said.contains("100.00 %"),
        "{said}"
    );
    let names: Vec<String> = listing(&at.join("merged"))
        .iter()
        .map(|path| path.strip_prefix(at.join("merged")).unwrap().to_string_lossy().into_owned())
        .collect();
    let expected = "adapter_config.json adapter_model.safetensors heads heads/other.safetensors \
                    heads/tissue.safetensors merge.json run.json";
    assert_eq!(names.join(" "), expected);
    for (task, module) in [("tissue", "x"), ("other", "y")] {
        let [own, merged] =
            [format!("{module}/head.safetensors"), format!("merged/heads/{task}.safetensors")]
                .map(|path| std::fs::read(at.join(path)).unwrap());
        assert_eq!(own, merged, "{task}");
    }
    let record: Value =
        serde_json::from_slice(&std::fs::read(at.join("merged/merge.json")).unwrap()).unwrap();
    assert_eq!(
        (record["kept"].as_f64(), record["options"]["method"].as_str()),
        (Some(1.0), Some("task-arithmetic"))
    );
    let member = &record["members"][1];
    for (key, value) in
        [("task", "other"), ("contributor", "elsewhere"), ("licence", "unspecified")]
    {
        assert_eq!(member[key], value, "{key}");
    }
    assert_eq!(member["weight"], -0.5);

    // Every method, cut to a rank, and the same bytes a second time.
    let methods = "average task-arithmetic ties dare-linear dare-ties della breadcrumbs svd knots \
                   core-space tsv iso-c";
    for method in methods.split(' ') {
        let read = |_: u32| {
            let json =
                good(at, &format!("{MERGE} --method {method} --rank 2 --seed 3 --json --force"));
            let record: Value = serde_json::from_str(&json).unwrap();
            assert!(
                record["kept"].as_f64().unwrap() <= 1.0 && record["options"]["seed"] == 3,
                "{record}"
            );
            std::fs::read(at.join("merged/adapter_model.safetensors")).unwrap()
        };
        assert_eq!(read(0), read(1), "{method}");
    }
}

#[test]
fn what_cannot_be_merged_is_refused_by_name() {
    let dir = with_modules();
    let at = dir.path();
    good(
        at,
        "train --full --from-scratch --base shape --data data --task all --out base2 --epochs 1 \
         --seed 5",
    );
    good(
        at,
        &TRAIN
            .replace("--base base", "--base base2")
            .replace("tissue", "third")
            .replace("--epochs 2", "--epochs 1 --out z"),
    );
    let before = listing(at);
    for (arguments, word) in [
        (
            "merge --base base --module x --module z --method ties --out merged",
            "z: the module was trained on the base",
        ),
        (
            "merge --base base --module x --module x --method ties --out merged",
            "two modules are for the task tissue",
        ),
        (&format!("{MERGE} --method mixture"), "packer forge merge --method mixture"),
        (&format!("{MERGE} --method mean"), "--method \"mean\" is none of average"),
        (&format!("{MERGE} --method ties --weight NaN --weight 1"), "weight NaN"),
        (&format!("{MERGE} --method ties --weight 1"), "1 weights were given for 2 modules"),
        (&format!("{MERGE} --method ties --density 0"), "density is 0"),
        (&format!("{MERGE} --method ties --rank 0"), "--rank \"0\""),
        (&format!("{MERGE} --method ties --space both"), "--space \"both\""),
        (&format!("{MERGE} --method average --space factors"), "cannot be merged apart"),
        (&format!("{MERGE} --method regmean"), "Gram matrices"),
        ("merge --base base --module x --method ties --out y --force", "merge.json"),
    ] {
        let sentence = refused(at, 1, arguments);
        assert!(sentence.contains(word), "{arguments}: {sentence}");
        assert_eq!(listing(at), before, "{sentence} left files behind");
    }
    good(at, &format!("{MERGE} --method ties"));
    assert!(refused(at, 1, &format!("{MERGE} --method ties")).contains("--force"));
}

/// Every method gives one network, which is measured task by task and packed. The bundle holds its
/// results, and those of each module alone.
#[test]
fn a_merged_model_is_measured_task_by_task_and_packed() {
    let dir = with_modules();
    let at = dir.path();
    let picture = some_picture(at);
    good(at, "eval --base base --module x --data data --resamples 100 --device cpu --record");
    let methods = "average task-arithmetic ties dare-linear dare-ties della breadcrumbs svd knots \
                   core-space tsv iso-c";
    for method in methods.split(' ') {
        good(at, &format!("{MERGE} --method {method} --force"));
        let eval = measured(at, "merged --task tissue");
        good(at, "bundle --base base --module merged --key k.key --out merged.medforge --force");
        assert!(
            good(at, "verify merged.medforge --trust k.pub").contains("golden vectors agree"),
            "{method}"
        );
        for task in ["tissue", "other"] {
            let said = good(
                at,
                &format!("classify merged.medforge --trust k.pub {picture} --task {task} --json"),
            );
            assert!(said.contains("probabilities"), "{method}: {said}");
        }
        measured_in_manifest(at, method, &eval);
    }
    // With the weight zero for the other module, the merged network is the first one.
    good(at, &format!("{MERGE} --method task-arithmetic --weight 1 --weight 0 --force"));
    let (merged, alone) = (measured(at, "merged --task tissue"), measured(at, "x"));
    for (ours, own) in
        merged["metrics"].as_array().unwrap().iter().zip(alone["metrics"].as_array().unwrap())
    {
        let [ours, own] = [ours, own].map(|metric| metric["value"].as_f64().unwrap());
        assert!((ours - own).abs() < 1e-6, "{merged} {alone}");
    }
    shown_and_on_the_card(at);
}

/// Evaluates a module on the data and records the results.
fn measured(at: &Path, module: &str) -> Value {
    let eval = format!(
        "eval --base base --module {module} --data data --resamples 100 --device cpu --json \
         --record"
    );
    serde_json::from_str(&good(at, &eval)).unwrap()
}

/// The bundle's manifest has the evaluation of the task that was measured, and none of the other.
fn measured_in_manifest(at: &Path, method: &str, eval: &Value) {
    let manifest: Value =
        serde_json::from_str(&good(at, "inspect merged.medforge --json")).unwrap();
    let manifest = &manifest["manifest"];
    let own = &manifest["measured"]["tissue"];
    assert_eq!((&own["metrics"], &own["groups"]), (&eval["metrics"], &eval["groups"]), "{method}");
    assert_eq!((&own["floors"], own["images"] == eval["n"]), (&eval["floors"], true), "{method}");
    assert_eq!(manifest["metrics"]["tissue"]["value"], eval["metrics"][1]["value"], "{method}");
    assert!(manifest["measured"].get("other").is_none(), "{manifest}");
}

/// `inspect` and the card show what was measured, merged and alone.
fn shown_and_on_the_card(at: &Path) {
    good(at, "bundle --base base --module merged --key k.key --out merged.medforge --force");
    let said = good(at, "inspect merged.medforge");
    for words in [
        "measured on",
        "groups (patients)",
        "floor",
        "verdict",
        "linear probe",
        "colour alone",
        "merged from",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    // `other` was measured neither merged nor alone.
    assert!(said.contains("as it is packed here it was never evaluated"), "{said}");
    assert!(said.contains("alone         never evaluated"), "{said}");
    let card = entry(&at.join("merged.medforge"), "model_card.md");
    for words in [
        "Results of that module alone, before it was merged",
        "patients",
        "never evaluated",
        "colour alone",
    ] {
        assert!(card.contains(words), "{words}: {card}");
    }
}

#[test]
fn what_a_merged_model_cannot_be_is_said() {
    let dir = with_modules();
    let at = dir.path();
    good(at, &format!("{MERGE} --method average"));
    let eval = "eval --base base --data data --device cpu";
    let bundle = "bundle --base base --key k.key --out m.medforge";
    for (arguments, words) in [
        (format!("{eval} --module merged"), "--task is needed: merged has the tasks tissue, other"),
        (
            format!("{eval} --module merged --task lung"),
            "--task is lung, and merged has tissue, other",
        ),
        (format!("{eval} --module x --task lung"), "--task is lung, and the module is for tissue"),
        (
            format!("{bundle} --module merged --module x"),
            "merged is a merged model, which a bundle has alone",
        ),
        (
            format!("{bundle} --module merged --class-text tissue:a=b"),
            "--class-text adds classes to modules",
        ),
        (
            "merge --base base --module merged --method average --out again".into(),
            "merged: is a merged model",
        ),
    ] {
        let said = refused(at, 1, &arguments);
        assert!(said.contains(words), "{arguments}: {said}");
    }
    let mut record: Value =
        serde_json::from_slice(&std::fs::read(at.join("merged/merge.json")).unwrap()).unwrap();
    record["members"][0]["measured"] = serde_json::json!({ "images": 1, "metrics": [] });
    std::fs::write(at.join("merged/merge.json"), record.to_string()).unwrap();
    assert!(refused(at, 1, &format!("{bundle} --module merged")).contains("no metric is there"));
}
