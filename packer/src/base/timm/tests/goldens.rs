//! Folders that timm wrote, against what timm computes with them (tests/parity/bases.py).

use std::path::PathBuf;

use crate::base::vit_config::{Interpolation, Positions};
use crate::device::cpu::Cpu;
use crate::parity::distance;
use crate::predict::Predictor;

use super::*;

/// A folder of tests/golden/bases, with what is known of it.
struct Case {
    name: String,
    dir: PathBuf,
    known: Value,
    golden: BTreeMap<String, Tensor>,
}

impl Case {
    fn all() -> Vec<Case> {
        let names = fs::read_dir(folder("bases")).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name.starts_with("timm-")).collect();
        names.sort();
        assert!(names.len() >= 15, "{names:?}");
        let case = |name: String| {
            let dir = folder("bases").join(&name);
            let read = |file: &str| fs::read(dir.join(file)).unwrap();
            Case {
                known: serde_json::from_slice(&read("case.json")).unwrap(),
                golden: tensors::read(&read("golden.safetensors"), "golden").unwrap(),
                dir: dir.clone(),
                name,
            }
        };
        names.into_iter().map(case).collect()
    }

    /// The base with the feature that is called `name` in `case.json`.
    fn open(&self, name: &str) -> Vit {
        let feature = name.replace('_', "-").parse().unwrap();
        let choices = Choices { feature: Some(feature), ..Choices::default() };
        Vit::open_with(&self.dir, &choices).unwrap_or_else(|e| panic!("{}: {e}", self.name))
    }

    fn list(&self, key: &str) -> Vec<String> {
        let values = self.known[key].as_array().unwrap().iter();
        values.map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned)).collect()
    }
}

#[test]
fn networks_are_what_timm_says() {
    for case in Case::all() {
        let vit = Vit::open(&case.dir).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        let c = &vit.config;
        let (positions, theta) = match c.positions {
            Positions::Learned => ("learned", None),
            Positions::Rotary { theta } => ("rotary", Some(theta)),
        };
        assert_eq!(c.interpolation, Interpolation::Antialias, "{}", case.name);
        let mut read = json!({
            "image_size": c.image_size, "patch": c.patch, "hidden": c.hidden, "layers": c.layers,
            "heads": c.heads, "mlp": c.mlp, "activation": c.activation, "eps": c.eps,
            "class_token": !c.no_class_token, "registers": c.registers, "positions": positions,
            "interpolation": "antialias", "gated": c.gated, "qkv_bias": c.qkv_bias,
            "key_bias": c.qkv_bias && !c.no_key_bias, "qk_norm": c.qk_norm,
            "layer_scale": c.layer_scale, "pre_norm": c.family == Family::Clip,
            "projection": c.projection,
        });
        if let Some(theta) = theta {
            read["theta"] = json!(theta);
        }
        assert_eq!(read, case.known["shape"], "{}", case.name);
        let default = Feature::of(c).name().replace('-', "_");
        assert_eq!(json!(default), case.known["default"], "{}", case.name);
    }
}

#[test]
fn features_are_timms_at_every_size_and_pooling() {
    let inputs = fs::read(folder("bases/inputs.safetensors")).unwrap();
    let inputs = tensors::read(&inputs, "inputs").unwrap();
    for case in Case::all() {
        for pooling in case.list("poolings") {
            let vit = case.open(&pooling);
            for size in case.list("sizes") {
                let pixels = &inputs[&format!("pixels.{size}")].data;
                let side = size.parse().unwrap();
                let ours = Predictor::new(&Cpu::<f32>::poisoned(), &vit, None, side)
                    .features(pixels)
                    .unwrap();
                let theirs = &case.golden[&format!("{pooling}.{size}")].data;
                let error = distance(&ours, theirs);
                assert!(error < 1e-5, "{} {pooling} at {size}: {error:e}", case.name);
            }
        }
    }
}

#[test]
fn what_is_written_of_a_folder_of_timm_is_the_same_base() {
    for case in Case::all() {
        for pooling in case.list("poolings") {
            let vit = case.open(&pooling);
            let dir = tempfile::tempdir().unwrap();
            for (name, bytes) in vit.files().unwrap() {
                fs::write(dir.path().join(name), bytes).unwrap();
            }
            let again = Vit::open(dir.path()).unwrap_or_else(|e| panic!("{}: {e}", case.name));
            assert_eq!(again.identity(), vit.identity(), "{} {pooling}", case.name);
        }
    }
}
