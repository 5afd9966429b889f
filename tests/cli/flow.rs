//! The whole path: a folder of images to a classified picture.

use serde_json::Value;

use super::*;

#[test]
fn images_become_a_module_a_bundle_and_a_classification() {
    let dir = with_bundle();
    let at = dir.path();
    let verdict = good(at, "verify b.medforge --trust k.pub");
    assert!(verdict.contains("verified"), "{verdict}");
    assert!(good(at, "inspect b.medforge").contains("tissue"));

    // A device gives the same result for each test image as the evaluation.
    let evaluation: Value = serde_json::from_str(&good(
        at,
        "eval --base base --module m --data data --split test --json --predictions p.csv \
         --resamples 200",
    ))
    .unwrap();
    let table = std::fs::read_to_string(at.join("p.csv")).unwrap();
    let images = test_images(at);
    assert_eq!(table.lines().count(), images.len() + 1);
    let names: Vec<&str> = images.iter().map(|(path, _)| path.as_str()).collect();
    let results: Value = serde_json::from_str(&good(
        at,
        &format!("classify b.medforge --trust k.pub --json {}", names.join(" ")),
    ))
    .unwrap();
    let mut right = 0;
    for ((row, result), (path, label)) in
        table.lines().skip(1).zip(results.as_array().unwrap()).zip(&images)
    {
        let expected: Vec<f64> = row.split(',').skip(4).map(|p| p.parse().unwrap()).collect();
        let found = result["probabilities"].as_array().unwrap();
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found["probability"].as_f64().unwrap() - expected).abs() < 1e-4,
                "{path}: {result} against {row}"
            );
        }
        right += usize::from(result["class"] == label.as_str());
    }
    let accuracy =
        evaluation["metrics"].as_array().unwrap().iter().find(|m| m["name"] == "accuracy").unwrap();
    assert!(
        (accuracy["value"].as_f64().unwrap() - right as f64 / images.len() as f64).abs() < 1e-9
    );
    assert!(accuracy["low"].as_f64() <= accuracy["value"].as_f64());
    for floor in ["linear_probe", "colour"] {
        assert!(
            evaluation["floors"].as_array().unwrap().iter().any(|f| f["name"] == floor),
            "no floor {floor}"
        );
    }
}

#[test]
fn the_same_seed_gives_the_same_files() {
    let dir = workshop();
    let at = dir.path();
    let merge = "merge --base base --module one --method average";
    for (one, two, command) in [
        ("one", "two", format!("{TRAIN} --validation 0.3")),
        ("b/one", "b/two", "train --full --base base --data data --task all --epochs 1".into()),
        ("merged/one", "merged/two", merge.into()),
    ] {
        good(at, &format!("{command} --out {one}"));
        // One second later, every file that holds the time differs.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        good(at, &format!("{command} --out {two}"));
        let files = |out: &str| -> std::collections::BTreeMap<PathBuf, Vec<u8>> {
            let files = listing(&at.join(out)).into_iter().filter(|path| path.is_file());
            files
                .map(|path| {
                    (path.strip_prefix(at.join(out)).unwrap().into(), std::fs::read(path).unwrap())
                })
                .collect()
        };
        let (one, two) = (files(one), files(two));
        assert_eq!(one.keys().collect::<Vec<_>>(), two.keys().collect::<Vec<_>>());
        let differ: Vec<&PathBuf> = one.keys().filter(|name| one[*name] != two[*name]).collect();
        assert_eq!(differ, [Path::new("run.json")], "{command}");
    }
    // Bundles hold the time when their modules were made. Modules older than `run.json` hold it
    // too.
    let run: Value =
        serde_json::from_slice(&std::fs::read(at.join("one/run.json")).unwrap()).unwrap();
    assert!(run["train_images_per_s"].as_f64().unwrap() > 0.0, "{run}");
    let said = format!("- trained: {}", run["created"].as_str().unwrap());
    let card = at.join("one/module.json");
    for out in ["new.medforge", "old.medforge"] {
        good(at, &format!("bundle --base base --module one --key k.key --out {out}"));
        assert!(entry(&at.join(out), "model_card.md").contains(&said), "{said}");
        let mut old: Value = serde_json::from_slice(&std::fs::read(&card).unwrap()).unwrap();
        old["created"] = run["created"].clone();
        old["training"]["train_images_per_s"] = 3.0.into();
        std::fs::write(&card, old.to_string()).unwrap();
        let _ = std::fs::remove_file(at.join("one/run.json"));
    }
}

#[test]
fn a_bundle_runs_in_eight_bits_once_that_was_measured() {
    let dir = with_bundle();
    let at = dir.path();
    let image = &test_images(at)[0].0;
    let said = refused(at, 1, &format!("classify b.medforge --trust k.pub {image} --int8"));
    assert!(said.contains("--int8 TASK=DIR"), "{said}");
    assert!(
        refused(
            at,
            1,
            "bundle --base base --module m --key k.key --out e.medforge --int8 other=data"
        )
        .contains("tissue")
    );
    assert!(!at.join("e.medforge").exists());
    good(at, "bundle --base base --module m --key k.key --out e.medforge --int8 tissue=data");
    let said = good(at, "verify e.medforge --trust k.pub");
    assert!(said.contains("golden vectors agree, in 32 bits and in eight"), "{said}");
    let answers = ["", " --int8"].map(|bits| {
        let said = good(at, &format!("classify e.medforge --trust k.pub {image} --json{bits}"));
        let said: Value = serde_json::from_str(&said).unwrap();
        said[0]["probabilities"][0]["probability"].as_f64().unwrap()
    });
    assert!(answers[0] != answers[1] && (answers[0] - answers[1]).abs() < 0.1, "{answers:?}");
    let manifest: Value = serde_json::from_str(&good(at, "inspect e.medforge --json")).unwrap();
    assert!(manifest["manifest"]["int8"]["tissue"]["n"].as_u64() > Some(0), "{manifest}");
}

#[test]
fn classes_get_codes_from_a_table_or_the_row_is_named() {
    let dir = with_bundle();
    let at = dir.path();
    let manifest: Value = serde_json::from_str(&good(at, "inspect b.medforge --json")).unwrap();
    let classes = manifest["manifest"]["heads"][0]["classes"].as_array().unwrap().clone();
    let row =
        |class: &str, value: usize| format!("tissue,{class},SCT,{value},Meaning of {class}\n");
    let rows: Vec<String> = classes
        .iter()
        .enumerate()
        .map(|(value, class)| row(class.as_str().unwrap(), value))
        .collect();
    let table = |rows: &[String]| {
        let text = format!("task,class,scheme,value,meaning\n{}", rows.concat());
        std::fs::write(at.join("codes.csv"), text).unwrap();
    };
    let pack = "bundle --base base --module m --key k.key --out coded.medforge --codes codes.csv";
    for (wrong, word) in [
        (rows[1..].to_vec(), "have no row"),
        ([rows.clone(), rows[..1].to_vec()].concat(), "has a code already"),
        ([rows.clone(), vec![row("other", 9)]].concat(), "no class other"),
        (vec!["tissue,too few\n".into()], "row 2"),
        (
            [vec![rows[1].replace(",1,", ",0,")], rows[..1].to_vec(), rows[2..].to_vec()].concat(),
            "have one code, SCT 0",
        ),
    ] {
        table(&wrong);
        let said = refused(at, 1, pack);
        assert!(said.contains(word) && said.contains("codes.csv"), "{word}: {said}");
        assert!(!at.join("coded.medforge").exists());
    }
    table(&rows);
    good(at, pack);
    good(at, "verify coded.medforge --trust k.pub");
    let manifest: Value = serde_json::from_str(&good(at, "inspect coded.medforge --json")).unwrap();
    assert_eq!(manifest["manifest"]["heads"][0]["codes"][1]["value"], "1", "{manifest}");
}

#[test]
fn several_modules_share_a_bundle_and_a_task_is_chosen_by_name() {
    let dir = with_bundle();
    let at = dir.path();
    good(
        at,
        &TRAIN.replace(
            "--task tissue",
            "--task other --targets q,k,v,o,fc1,fc2 --last-layers 1 --out m2",
        ),
    );
    good(at, "bundle --base base --module m --module m2 --key k.key --out two.medforge");
    let image = &test_images(at)[0].0;
    for task in ["tissue", "other"] {
        let said =
            good(at, &format!("classify two.medforge --trust k.pub {image} --json --task {task}"));
        assert!(said.contains(&format!("\"task\": \"{task}\"")), "{said}");
    }
    let alone: Value = serde_json::from_str(&good(
        at,
        &format!("classify b.medforge --trust k.pub {image} --json"),
    ))
    .unwrap();
    let both = format!("classify two.medforge --trust k.pub {image} --json --task tissue");
    let both: Value = serde_json::from_str(&good(at, &both)).unwrap();
    assert_eq!(
        alone[0]["probabilities"], both[0]["probabilities"],
        "a second module changed the first one's result"
    );
    assert!(
        refused(at, 1, &format!("classify two.medforge --trust k.pub {image}")).contains("tissue")
    );
    assert!(
        refused(at, 1, &format!("classify two.medforge --trust k.pub {image} --task none"))
            .contains("other, tissue")
    );
}

#[test]
fn results_are_recorded_in_the_card_and_travel_with_the_bundle() {
    let dir = workshop();
    let at = dir.path();
    good(
        at,
        &format!("{TRAIN} --out m --contributor somewhere --licence CC-BY-4.0 --validation 0.3"),
    );
    good(at, "eval --base base --module m --data data --record --resamples 200");
    good(at, "bundle --base base --module m --key k.key --out b.medforge");
    let said = good(at, "inspect b.medforge");
    for word in ["somewhere", "CC-BY-4.0", "balanced"] {
        assert!(said.contains(word), "no {word} in: {said}");
    }
}

/// The phantoms have a few patients in each class.
#[test]
fn too_few_patients_calibrate_nothing_and_the_cards_say_why() {
    let dir = workshop();
    let at = dir.path();
    let why = "held out, and 10 are the least (--min-calibration-groups)";
    let said = good(at, &format!("{TRAIN} --out few --validation 0.3 --report few.html"));
    assert!(said.contains("not calibrated: of class ") && said.contains(why), "{said}");
    let card = |module: &str| -> Value {
        serde_json::from_slice(&std::fs::read(at.join(module).join("module.json")).unwrap())
            .unwrap()
    };
    assert!(
        card("few")["calibration"].is_null()
            && card("few")["uncalibrated"].as_str().unwrap().contains(why)
    );
    assert!(std::fs::read_to_string(at.join("few.html")).unwrap().contains(why));
    good(at, "bundle --base base --module few --key k.key --out few.medforge");
    let bundle =
        String::from_utf8_lossy(&std::fs::read(at.join("few.medforge")).unwrap()).into_owned();
    assert!(
        bundle.contains("are not calibrated (of class ") && bundle.contains(why),
        "the model card does not say why"
    );

    let said =
        good(at, &format!("{TRAIN} --out enough --validation 0.6 --min-calibration-groups 2"));
    assert!(
        said.contains("calibrated on ") && said.contains("out-of-distribution threshold"),
        "{said}"
    );
    let card = card("enough");
    let error = |which: &str| card["calibration"][which]["value"].as_f64().unwrap();
    let temperature = card["calibration"]["temperature"].as_f64().unwrap();
    assert!(card["uncalibrated"].is_null());
    assert!(temperature == 1.0 || error("error_after") < error("error_before"), "{card}");
    let least = format!("{TRAIN} --out none --min-calibration-groups 1");
    assert!(refused(at, 1, &least).contains("--min-calibration-groups"));
}

#[test]
fn completions_and_manual_pages_come_from_the_command_line_itself() {
    let dir = tempfile::tempdir().unwrap();
    assert!(good(dir.path(), "completions bash").contains("classify"));
    good(dir.path(), "completions --man man");
    let page = std::fs::read_to_string(dir.path().join("man/packer-train.1")).unwrap();
    assert!(page.contains("warm") && dir.path().join("man/packer.1").exists());
    assert!(dir.path().join("man/packer-forge-push.1").exists());
}

/// Every subcommand explains itself with an example.
#[test]
fn every_help_has_an_example() {
    let dir = tempfile::tempdir().unwrap();
    let names = |command: &str| {
        let help = good(dir.path(), &format!("{command} --help"));
        let commands =
            help.lines().skip_while(|l| *l != "Commands:").skip(1).take_while(|l| !l.is_empty());
        let names = commands.filter_map(|l| l.split_whitespace().next()).filter(|n| *n != "help");
        names.map(|name| format!("{command} {name}").trim().to_owned()).collect::<Vec<_>>()
    };
    let (top, forge) = (names(""), names("forge"));
    assert!(top.len() >= 10 && forge.len() >= 7, "{top:?} {forge:?}");
    for name in top.iter().chain(&forge) {
        let help = good(dir.path(), &format!("{name} --help"));
        assert!(
            help.contains("Example:") && help.contains(&format!("packer {name}")),
            "{name}: {help}"
        );
    }
}
