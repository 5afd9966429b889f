//! A network small enough for tests, with random weights, and a module for it.

use std::path::Path;

use medforge_packer::base::Vit;
use medforge_packer::export::Options;
use medforge_packer::lora::{Factors, Head, Module, ModuleCard, Run, Target, Targets};
use medforge_runtime::tensors::Tensor;

/// One block, 16 wide, for images of 16 pixels; its description is written to `dir`.
pub fn base(dir: &Path) -> Vit {
    one_block(dir, 16, 16, 16)
}

/// One block, `hidden` and in its MLP `mlp` wide, for images of `side` pixels; its description is
/// written to `dir`.
pub fn one_block(dir: &Path, hidden: usize, mlp: usize, side: usize) -> Vit {
    let config = format!(
        r#"{{"model_type":"vit","hidden_size":{hidden},"num_hidden_layers":1,
        "num_attention_heads":2,
        "intermediate_size":{mlp},"image_size":{side},"patch_size":8}}"#
    );
    let size = format!(r#""size":{{"height":{side},"width":{side}}}"#);
    let processor =
        format!(r#"{{{size},"resample":3,"image_mean":[0.5,0.5,0.5],"image_std":[0.5,0.5,0.5]}}"#);
    std::fs::write(dir.join("config.json"), config).unwrap();
    std::fs::write(dir.join("preprocessor_config.json"), processor).unwrap();
    Vit::random(dir, 1).unwrap()
}

/// How a bundle called `name` is packed.
pub fn options(name: &str) -> Options {
    Options {
        name: name.into(),
        counter: 1,
        predecessor: None,
        intended_use: "tests".into(),
        least_probability: 0.0,
    }
}

/// Two classes of breast, rank 2 at q and v.
pub fn module(vit: &Vit) -> Module {
    lora(vit, "breast", 0, 2, None)
}

/// Two classes of `task`, of this rank at q and v of the last `layers` blocks or of all; other
/// numbers for other seeds.
pub fn lora(vit: &Vit, task: &str, seed: usize, rank: usize, layers: Option<usize>) -> Module {
    let numbers = |shape: Vec<usize>, own: usize| {
        let at = |i: usize| ((i * 31 + (own + seed) * 17) % 23) as f32 / 23.0 - 0.5;
        Tensor::f32(shape.clone(), (0..shape.iter().product()).map(at).collect())
    };
    let sites = "q,v".parse::<Targets>().unwrap().sites(&vit.config, layers).unwrap();
    let site = |(i, (site, target)): (usize, (String, Target))| {
        let (out, inputs) = target.shape(&vit.config);
        (site, Factors::plain(numbers(vec![rank, inputs], i), numbers(vec![out, rank], i + 9)))
    };
    let classes = vec!["benign".to_owned(), "malignant".to_owned()];
    let (size, hidden) = (vit.config.image_size as u32, vit.config.hidden);
    Module {
        rank,
        alpha: rank as f64,
        sites: sites.into_iter().enumerate().map(site).collect(),
        head: Head {
            classes: classes.clone(),
            weight: numbers(vec![2, hidden], 3),
            bias: numbers(vec![2], 4),
            logit_scale: None,
            temperature: 1.0,
            familiar: None,
        },
        card: ModuleCard {
            format: ModuleCard::FORMAT.into(),
            version: ModuleCard::VERSION,
            task: task.into(),
            contributor: "tests".into(),
            licence: "CC0-1.0".into(),
            family: vit.config.family,
            gated: vit.config.gated,
            base_digest: vit.digest(),
            image_size: size,
            preprocessing: vit.preprocessing_for(size).unwrap(),
            created: None,
            run: Run::now(),
            classes,
            class_texts: Default::default(),
            calibration: None,
            uncalibrated: None,
            training: serde_json::json!({}),
            metrics: vec![],
            measured: None,
            subgroups: vec![],
        },
    }
}
