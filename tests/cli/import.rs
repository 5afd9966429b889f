//! Adapters that PEFT saved together with their head.

use std::collections::BTreeMap;

use medforge_runtime::tensors;
use serde_json::Value;

use super::*;

/// The module `m` as PEFT's `save_pretrained` writes it: two files, with the head as `classifier`
/// among the factors.
fn peft_folder(at: &Path) {
    std::fs::create_dir(at.join("peft")).unwrap();
    let read =
        |name: &str| tensors::read(&std::fs::read(at.join("m").join(name)).unwrap(), name).unwrap();
    let (mut all, head) = (read("adapter_model.safetensors"), read("head.safetensors"));
    for part in ["weight", "bias"] {
        all.insert(format!("base_model.model.classifier.{part}"), head[part].clone());
    }
    let named = all.iter().map(|(name, tensor)| (name.as_str(), tensor));
    std::fs::write(
        at.join("peft/adapter_model.safetensors"),
        tensors::write(named, &BTreeMap::new()).unwrap(),
    )
    .unwrap();
    let mut config: Value =
        serde_json::from_slice(&std::fs::read(at.join("m/adapter_config.json")).unwrap()).unwrap();
    config["modules_to_save"] = serde_json::json!(["classifier"]);
    std::fs::write(at.join("peft/adapter_config.json"), config.to_string()).unwrap();
}

#[test]
fn an_adapter_with_its_head_becomes_the_module_that_it_was() {
    let dir = workshop();
    let at = dir.path();
    good(at, &format!("{TRAIN} --out m"));
    peft_folder(at);
    let card: Value =
        serde_json::from_slice(&std::fs::read(at.join("m/module.json")).unwrap()).unwrap();
    let classes: Vec<&str> =
        card["classes"].as_array().unwrap().iter().map(|class| class.as_str().unwrap()).collect();
    let named = classes.iter().map(|class| format!(" --class {class}")).collect::<String>();
    let import = "import --base base --adapter peft --task tissue";
    good(at, &format!("{import} --out i{named}"));
    let eval = |module: &str| {
        good(at, &format!("eval --base base --module {module} --data data --resamples 100 --json"))
    };
    assert_eq!(eval("m"), eval("i"));
    good(at, "bundle --base base --module i --key k.key --out i.medforge");
    good(at, "verify i.medforge --trust k.pub");

    assert!(refused(at, 1, &format!("{import} --out i{named}")).contains("--force"));
    assert!(
        refused(at, 1, &format!("{import} --out j --class one"))
            .contains("classifier.weight has shape")
    );
    assert!(
        refused(at, 1, &format!("{import} --out j --class one --class one"))
            .contains("names one twice")
    );
    let plain = import.replace("--adapter peft", "--adapter m");
    assert!(refused(at, 1, &format!("{plain} --out j{named}")).contains("saves no head"));
    assert!(!at.join("j").exists());
}
