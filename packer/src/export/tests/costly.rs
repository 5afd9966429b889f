//! Bundles that no device would open under the limits that it has by itself.

use super::*;

/// One forward pass of it would take minutes here, and so would this test.
#[test]
fn what_no_device_would_open_is_refused_before_golden_vectors_are_made() {
    let place = tempfile::tempdir().unwrap();
    let config = r#"{"model_type":"vit","hidden_size":256,"num_hidden_layers":128,
        "num_attention_heads":2,
        "intermediate_size":16,"image_size":112,"patch_size":1}"#;
    let processor = r#"{"size":{"height":112,"width":112},"resample":3,
        "image_mean":[0.5,0.5,0.5],"image_std":[0.5,0.5,0.5]}"#;
    std::fs::write(place.path().join("config.json"), config).unwrap();
    std::fs::write(place.path().join("preprocessor_config.json"), processor).unwrap();
    let vit = Vit::random(place.path(), 1).unwrap();
    let mut module = module(&vit, "q", Some(1));
    (module.card.image_size, module.card.preprocessing) =
        (112, vit.preprocessing_for(112).unwrap());
    let built = build_bundle(&vit, &[module], &options(), &[key()]).map(|_| ());
    let error = built.unwrap_err().to_string();
    assert!(error.contains("an image would take") && error.contains("multiply-adds"), "{error}");
}
