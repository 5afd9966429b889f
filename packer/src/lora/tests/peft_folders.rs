//! Folders that PEFT may have written: what is refused, and names that do not match.

use super::*;

#[test]
fn what_packer_does_not_represent_is_refused_by_name() {
    use serde_json::json;
    for (key, value) in [
        ("use_rslora", json!("yes")),
        ("use_dora", json!("yes")),
        ("rank_pattern", json!({"q_proj": 0.5})),
        ("rank_pattern", json!([4])),
        ("alpha_pattern", json!({"q_proj": "x"})),
        ("alpha_pattern", json!({"(q_proj": 4})),
        ("alpha_pattern", json!({"q_proj": 4, ".*q_proj": 5})),
        ("modules_to_save", json!(["layernorm"])),
        ("kasa_config", json!({"beta": 0.1})),
        ("fan_in_fan_out", json!(true)),
        ("bias", json!("all")),
        ("peft_type", json!("IA3")),
        ("init_lora_weights", json!("pissa")),
        ("layer_replication", json!([[0, 1]])),
        ("r", json!(0)),
        ("lora_alpha", json!("x")),
    ] {
        let said = refusal(|d| edit(&d.join("adapter_config.json"), key, value));
        assert!(said.contains("adapter_config.json") && said.contains(key), "{key}: {said}");
    }
}

/// An adapter whose names do not match must never be ignored silently (PEFT issue 1746, vLLM
/// issue 34186).
#[test]
fn every_unmatched_tensor_is_listed() {
    let said = refusal(|d| {
        let path = d.join("adapter_model.safetensors");
        let mut tensors = tensors::read(&fs::read(&path).unwrap(), "x").unwrap();
        let renamed = tensors
            .remove("base_model.model.encoder.layer.0.attention.q_proj.lora_A.weight")
            .unwrap();
        tensors.insert(
            "base_model.model.encoder.layer.0.attention.qq.lora_A.weight".into(),
            renamed.clone(),
        );
        tensors.insert(
            "base_model.model.encoder.layer.9.attention.q_proj.lora_A.weight".into(),
            renamed,
        );
        fs::write(
            &path,
            tensors::write(tensors.iter().map(|(n, t)| (n.as_str(), t)), &BTreeMap::new()).unwrap(),
        )
        .unwrap();
    });
    assert!(
        said.contains("layer.0.attention.qq.lora_A")
            && said.contains("layer.9.attention.q_proj.lora_A"),
        "{said}"
    );
}

/// Nobody could guess which of the two is used.
#[test]
fn two_names_for_one_site_are_refused() {
    let said = refusal(|d| {
        let path = d.join("adapter_model.safetensors");
        let mut tensors = tensors::read(&fs::read(&path).unwrap(), "x").unwrap();
        let old = "base_model.model.encoder.layer.0.attention.attention.query.lora_A.weight";
        let same =
            tensors["base_model.model.encoder.layer.0.attention.q_proj.lora_A.weight"].clone();
        tensors.insert(old.into(), same);
        fs::write(
            &path,
            tensors::write(tensors.iter().map(|(n, t)| (n.as_str(), t)), &BTreeMap::new()).unwrap(),
        )
        .unwrap();
    });
    assert!(said.contains("two tensors for blocks.0.attn.q"), "{said}");
}

#[test]
fn a_half_or_a_head_that_is_missing_or_misshapen_is_named() {
    let without = |file: &'static str, name: &'static str| {
        refusal(move |d| {
            let path = d.join(file);
            let mut tensors = tensors::read(&fs::read(&path).unwrap(), "x").unwrap();
            assert!(tensors.remove(name).is_some(), "{name}");
            fs::write(
                &path,
                tensors::write(tensors.iter().map(|(n, t)| (n.as_str(), t)), &BTreeMap::new())
                    .unwrap(),
            )
            .unwrap();
        })
    };
    let said = without(
        "adapter_model.safetensors",
        "base_model.model.encoder.layer.1.attention.v_proj.lora_B.weight",
    );
    assert!(said.contains("lora_B of blocks.1.attn.v"), "{said}");
    let said = without("head.safetensors", "bias");
    assert!(said.contains("head.safetensors") && said.contains("bias"), "{said}");
    let said =
        refusal(|d| edit(&d.join("module.json"), "classes", serde_json::json!(["a", "b", "c"])));
    assert!(said.contains("weight has shape"), "{said}");
}
