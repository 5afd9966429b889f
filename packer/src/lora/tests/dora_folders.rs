//! DoRA modules as folders.

use super::*;

#[test]
fn magnitudes_stand_at_every_layer_of_a_folder_with_dora_and_at_none_of_another() {
    let vit = small(Family::Dinov2);
    let (plain, decomposed) = (module(&vit, "q,v", None), dora(&vit, module(&vit, "q,v", None)));
    let magnitude = "base_model.model.encoder.layer.1.attention.v_proj.lora_magnitude_vector";
    let config =
        |dir: &Path, value: bool| edit(&dir.join("adapter_config.json"), "use_dora", value.into());
    let said = refusal_of(&vit, &decomposed, |d| {
        edit_tensors(d, |all| drop(all.remove(magnitude).unwrap()))
    });
    assert!(said.contains("lora_magnitude_vector of blocks.1.attn.v"), "{said}");
    let said = refusal_of(&vit, &plain, |d| config(d, true));
    assert!(said.contains("lora_magnitude_vector of blocks.0.attn.q"), "{said}");
    let said = refusal_of(&vit, &decomposed, |d| config(d, false));
    assert!(
        said.contains("lora_magnitude_vector") && said.contains("does not say use_dora"),
        "{said}"
    );
    let said = refusal_of(&vit, &decomposed, |d| {
        edit_tensors(d, |all| {
            let tensor = all.get_mut(magnitude).unwrap();
            (tensor.shape, tensor.data) = (vec![3], vec![1.0; 3]);
        });
    });
    assert!(said.contains(magnitude) && said.contains("shape [3]"), "{said}");
    // PEFT's own name of the parameter is read too. Two names for one are refused.
    let dir = write(&decomposed);
    edit_tensors(dir.path(), |all| {
        let tensor = all.remove(magnitude).unwrap();
        all.insert(format!("{magnitude}.weight"), tensor);
    });
    let read = Module::open(dir.path(), &vit).unwrap();
    assert_eq!(
        read.sites["blocks.1.attn.v"].magnitude,
        decomposed.sites["blocks.1.attn.v"].magnitude
    );
    let said = refusal_of(&vit, &decomposed, |d| {
        edit_tensors(d, |all| {
            drop(all.insert(format!("{magnitude}.weight"), all[magnitude].clone()))
        });
    });
    assert!(said.contains("two tensors for blocks.1.attn.v"), "{said}");
    let mut some = decomposed;
    some.sites.get_mut("blocks.0.attn.v").unwrap().magnitude = None;
    assert!(
        some.files().unwrap_err().to_string().contains("site blocks.0.attn.v has no magnitudes")
    );
}

/// Folding scales into B and padding ranks does not change the product, nor the norms of its rows.
#[test]
fn dora_with_scales_and_ranks_of_its_own_has_the_magnitude_scales_that_it_had() {
    let vit = small(Family::Dinov2);
    let written = dora(&vit, module(&vit, "q,v", None));
    let dir = write(&written);
    let path = dir.path().join("adapter_config.json");
    for (key, value) in [
        ("r", serde_json::json!(3)),
        ("rank_pattern", serde_json::json!({"q_proj": 2, "layer.0.attention.v_proj": 2})),
        ("alpha_pattern", serde_json::json!({"q_proj": 5})),
        ("use_rslora", true.into()),
    ] {
        edit(&path, key, value);
    }
    // The last layer's v has the rank 3.
    let wide = written.sites["blocks.1.attn.v"].clone().padded(3);
    edit_tensors(dir.path(), |all| {
        let of =
            |part: &str| format!("base_model.model.encoder.layer.1.attention.v_proj.{part}.weight");
        all.insert(of("lora_A"), wide.a.clone());
        all.insert(of("lora_B"), wide.b.clone());
    });
    let read = Module::open(dir.path(), &vit).unwrap();
    assert_eq!((read.rank, read.scale()), (3, 1.0));
    for (site, factors) in &written.sites {
        let scale = match site.as_str() {
            "blocks.1.attn.v" => 4.0 / 3f64.sqrt(),
            "blocks.0.attn.v" => 4.0 / 2f64.sqrt(),
            _ => 5.0 / 2f64.sqrt(),
        };
        let weight = &vit.tensor(&format!("{site}.weight"));
        let expected = factors.scaled(scale).magnitude_scales(weight).unwrap();
        let found = read.sites[site].magnitude_scales(weight).unwrap();
        assert!(found.iter().zip(&expected).all(|(f, e)| (f / e - 1.0).abs() < 1e-5), "{site}");
        assert!(
            found
                .iter()
                .zip(factors.magnitude_scales(weight).unwrap())
                .any(|(f, e)| (f / e - 1.0).abs() > 1e-3),
            "{site}"
        );
    }
}
