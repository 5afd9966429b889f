//! `packer devices` and `--device`: listed devices can be used, and others are refused in one
//! sentence.

use super::*;

#[test]
fn devices_are_listed_in_the_order_of_their_numbers() {
    let dir = tempfile::tempdir().unwrap();
    let list: serde_json::Value =
        serde_json::from_str(&good(dir.path(), "devices --json")).unwrap();
    let list = list.as_array().unwrap();
    let text = good(dir.path(), "devices");
    assert!(text.starts_with("cpu "), "{text}");
    for (i, adapter) in list.iter().enumerate() {
        assert_eq!(adapter["index"], i);
        assert!(
            text.contains(&format!("gpu:{i}")) && text.contains(adapter["name"].as_str().unwrap()),
            "{text}"
        );
        assert!(adapter["largest_buffer"].as_u64().unwrap() > 0);
    }
}

#[test]
fn devices_that_are_not_there_are_refused() {
    let dir = workshop();
    let at = dir.path();
    let before = listing(at);
    let sentence = refused(at, 1, &format!("{TRAIN} --out m --device gpu:99"));
    assert!(sentence.contains("gpu:99") && sentence.contains("--device cpu"), "{sentence}");
    for (arguments, named) in [
        ("--device cpu --precision f16", "--precision"),
        ("--device cpu --profile", "--profile"),
        ("--full --precision f16", "--full"),
    ] {
        let sentence = refused(
            at,
            1,
            &format!("train --base base --data data --task t --epochs 1 --out m {arguments}"),
        );
        assert!(sentence.contains(named), "{sentence}");
    }
    assert_eq!(listing(at), before);
    let output = packer(at, &format!("{TRAIN} --out m --device tpu")).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("gpu:N") && said(&output).contains("auto"), "{}", said(&output));
}

/// No driver at all: `gpu` is refused, `auto` takes the processor.
#[test]
fn without_a_driver_auto_takes_the_processor() {
    let dir = workshop();
    let at = dir.path();
    let without = |arguments: &str| {
        let nowhere = at.join("nowhere.json");
        packer(at, arguments)
            .env("VK_DRIVER_FILES", &nowhere)
            .env("VK_ICD_FILENAMES", &nowhere)
            .output()
            .unwrap()
    };
    let output = without("devices --json");
    if said(&output).is_empty() && output.stdout != b"[]\n" {
        eprintln!("this system's GPU does not come through Vulkan: its absence is not tested");
        return;
    }
    let output = without(&format!("{TRAIN} --out m --device gpu"));
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("no GPU was found") && said(&output).contains("--device cpu"),
        "{}",
        said(&output)
    );
    let output = without(&format!("{TRAIN} --out m"));
    assert!(output.status.success(), "{}", said(&output));
}

/// The whole path on the first GPU, if there is one: training with a profile of the GPU, and
/// evaluation.
#[test]
fn a_gpu_trains_and_evaluates_like_the_processor() {
    let dir = workshop();
    let at = dir.path();
    let list: serde_json::Value = serde_json::from_str(&good(at, "devices --json")).unwrap();
    if !list.as_array().unwrap().iter().any(|a| a["unusable"].is_null()) {
        let required = std::env::var("MEDFORGE_REQUIRE_GPU").is_ok_and(|v| v == "1");
        assert!(!required, "MEDFORGE_REQUIRE_GPU=1, and no usable GPU adapter is here");
        eprintln!("NO GPU ADAPTER IS HERE: packer --device gpu is NOT tested");
        return;
    }
    let table = good(at, &format!("{TRAIN} --out g --device gpu --profile"));
    for word in ["matmul", "dispatches", "GFLOP", "MB moved", "all"] {
        assert!(table.contains(word), "{table}");
    }
    good(at, &format!("{TRAIN} --out c --device cpu"));
    let accuracy = |module: &str, device: &str| {
        let text = good(
            at,
            &format!("eval --base base --module {module} --data data --json --device {device}"),
        );
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let metrics = json["metrics"].as_array().unwrap();
        metrics.iter().find(|m| m["name"] == "balanced_accuracy").unwrap()["value"]
            .as_f64()
            .unwrap()
    };
    let [own, other, crossed] = [accuracy("g", "gpu"), accuracy("c", "cpu"), accuracy("g", "cpu")];
    assert!(
        (own - other).abs() < 0.05 && (own - crossed).abs() < 0.01,
        "{own}, {other}, {crossed}"
    );
}

/// A driver's message about a variable is no failure of packer, and must not look like one.
#[test]
fn nothing_is_said_of_a_display_where_there_is_none() {
    let dir = workshop();
    let with = packer(dir.path(), "devices --json").output().unwrap();
    for value in [None, Some(""), Some("relative")] {
        let mut command = packer(dir.path(), "devices --json");
        match value {
            None => command.env_remove("XDG_RUNTIME_DIR"),
            Some(value) => command.env("XDG_RUNTIME_DIR", value),
        };
        let output = command.output().unwrap();
        assert!(
            output.status.success() && output.stdout == with.stdout,
            "{value:?}: {}",
            said(&output)
        );
        assert!(!said(&output).contains("XDG_RUNTIME_DIR"), "{value:?}: {}", said(&output));
    }
}
