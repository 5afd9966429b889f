//! What a base is, and bases with what their files leave open.

use serde_json::{Value, json};

use super::*;

/// timm's small ViT in the folder `timm` of `at`, with a changed `config.json`.
fn timm(at: &Path, change: impl FnOnce(&mut Value)) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/timm/vit");
    std::fs::create_dir_all(at.join("timm")).unwrap();
    let bytes = std::fs::read(source.join("config.json")).unwrap();
    let mut config: Value = serde_json::from_slice(&bytes).unwrap();
    change(&mut config);
    std::fs::write(at.join("timm/config.json"), config.to_string()).unwrap();
    std::fs::copy(source.join("model.safetensors"), at.join("timm/model.safetensors")).unwrap();
}

fn inspected(at: &Path, base: &str) -> Value {
    serde_json::from_str(&good(at, &format!("base inspect {base} --json"))).unwrap()
}

#[test]
fn a_base_without_heads_is_converted_with_those_that_are_given() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    timm(at, |_| ());
    let whole = inspected(at, "timm");
    let silent = |config: &mut Value| {
        config["model_args"].as_object_mut().unwrap().remove("num_heads");
    };
    timm(at, silent);
    for command in ["base inspect timm", "base convert timm --out out"] {
        let sentence = refused(at, 1, command);
        assert!(sentence.contains("packer base convert --heads N"), "{sentence}");
    }
    assert!(refused(at, 1, "base convert timm --out out --heads 3").contains("3 heads"));
    assert!(!at.join("out").exists());
    good(at, "base convert timm --out out --heads 2");
    let mut names: Vec<_> = std::fs::read_dir(at.join("out"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["config.json", "model.safetensors", "preprocessor_config.json"]);
    let written = inspected(at, "out");
    assert_eq!(written["digest"], whole["digest"]);
    assert_eq!(written["preprocessing"], whole["preprocessing"]);
    assert!(written["types"]["F32"].as_u64() > Some(0), "{written}");
    assert!(refused(at, 1, "base convert timm --out out --heads 2").contains("--force"));
    good(at, "base convert timm --out out --heads 2 --force");
    assert!(refused(at, 1, "base convert out --out out --force").contains("--out"));
    assert!(refused(at, 1, "base convert out --out more --heads 4").contains("--heads"));
}

#[test]
fn features_crops_and_sizes_are_chosen() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    timm(at, |config| config["pretrained_cfg"]["crop_pct"] = Value::Null);
    assert!(good(at, "base inspect timm").contains("config.json says no crop_pct"));
    assert!(good(at, "base convert timm --out a").contains("config.json says no crop_pct"));
    let said = good(at, "base convert timm --out b --crop-pct 1 --feature class-mean --size 16");
    assert!(said.contains("feature class-mean of 16 values, images of 16 pixels"), "{said}");
    assert!(!said.contains("crop_pct"), "{said}");
    let written = inspected(at, "b");
    assert_eq!(written["feature"]["name"], "class-mean");
    assert_eq!(written["feature"]["width"], 16);
    assert_eq!(written["config"]["image_size"], 16);
    assert_eq!(written["tokens"]["patches"], 16);
    assert_ne!(written["digest"], inspected(at, "a")["digest"]);
    for (options, words) in [
        ("--feature attention", "--feature is attention"),
        ("--crop-pct 2", "--crop-pct"),
        ("--crop-pct 0", "--crop-pct"),
        ("--size 10", "multiple"),
    ] {
        let sentence = refused(at, 1, &format!("base convert timm --out c {options}"));
        assert!(sentence.contains(words), "{sentence}");
    }
    assert!(!at.join("c").exists());
}

#[test]
fn what_a_base_is_is_shown() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    timm(at, |_| ());
    std::fs::write(at.join("timm/README.md"), "---\nlicense: cc-by-nc-4.0\n---\n").unwrap();
    let shown = inspected(at, "timm");
    assert_eq!(shown["licence"], json!({ "name": "cc-by-nc-4.0", "file": "README.md" }));
    assert_eq!(
        shown["lora"],
        json!({ "parameters": 512, "rank": 8, "sites": 4, "targets": "q,v" })
    );
    assert_eq!(shown["crop"]["said"], true);
    assert!(shown["memory"]["lora_step"].as_u64() > shown["memory"]["inference"].as_u64());
    let words = good(at, "base inspect timm");
    for part in [
        "2 blocks, 8 wide, 2 heads of 4",
        "5: 1 class, 0 registers, 4 patches",
        "bicubic with antialias",
        "class of 8 values (or mean, norm-of-mean, class-mean)",
        "cc-by-nc-4.0 (README.md)",
        "rank 8: 512 parameters at 4 sites",
        "model.safetensors",
    ] {
        assert!(words.contains(part), "{part}: {words}");
    }
    assert_eq!(inspected(at, "timm/model.safetensors")["digest"], shown["digest"]);
    assert!(refused(at, 1, "base inspect nothing").contains("nothing"));
}

#[test]
fn matrices_are_rounded_to_the_type_that_is_chosen() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    timm(at, |_| ());
    let own = inspected(at, "timm");
    for (name, kind) in [("float16", "F16"), ("bfloat16", "BF16")] {
        good(at, &format!("base convert timm --out {name} --dtype {name}"));
        let written = inspected(at, name);
        assert!(written["types"][kind].as_u64() > written["types"]["F32"].as_u64(), "{written}");
        assert!(written["types"]["F32"].as_u64() > Some(0), "vectors stay: {written}");
        // The values have ten bits after the first: bfloat16 has seven.
        assert_eq!(written["digest"] == own["digest"], name == "float16");
        // What is rounded already stays as it is.
        good(at, &format!("base convert {name} --out {name}-again --dtype {name}"));
        assert_eq!(inspected(at, &format!("{name}-again"))["digest"], written["digest"]);
    }
}
