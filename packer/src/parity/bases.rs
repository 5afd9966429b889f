//! Bases of every family and layout of files, in `tests/golden/bases` (`tests/parity/bases.py`):
//! what is read of them, what they compute, and that packer's own folders of them are the same
//! bases.

use medforge_runtime::vit;
use serde_json::{Value, json};

use super::*;
use crate::base::{Choices, VitConfig};

/// A base of another library, and what that says of it.
pub(crate) struct Case {
    pub name: String,
    pub said: Value,
    pub golden: BTreeMap<String, Tensor>,
}

/// The folders that have a `case.json`.
pub(crate) fn cases() -> Vec<Case> {
    let mut names: Vec<String> = fs::read_dir(folder("bases"))
        .expect("the bases are there")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| folder("bases").join(name).join("case.json").is_file())
        .collect();
    names.sort();
    assert!(names.len() > 30, "{} bases", names.len());
    let case = |name: String| {
        let said = fs::read(folder("bases").join(&name).join("case.json")).unwrap();
        let golden = golden(&format!("bases/{name}"));
        Case { said: serde_json::from_slice(&said).unwrap(), golden, name }
    };
    names.into_iter().map(case).collect()
}

/// The pixels and labels that all of them were given.
pub(crate) fn inputs() -> BTreeMap<String, Tensor> {
    let path = folder("bases/inputs.safetensors");
    tensors::read(&fs::read(path).unwrap(), "inputs.safetensors").unwrap()
}

impl Case {
    /// Its folder.
    pub fn folder(&self) -> PathBuf {
        folder("bases").join(&self.name)
    }

    /// The texts of a list.
    pub fn texts<'a>(&'a self, key: &str) -> impl Iterator<Item = &'a str> {
        self.said[key].as_array().into_iter().flatten().filter_map(Value::as_str)
    }

    /// The base with a feature of this name; its own without.
    ///
    /// Heads and sizes that no file has are given.
    pub fn open(&self, feature: Option<&str>) -> Result<Vit, crate::Error> {
        let count = |key: &str| self.said["shape"][key].as_u64().unwrap();
        let alone = self.said["file"].as_str();
        let silent = alone.is_some() || self.name == "open-clip-timm";
        let choices = Choices {
            heads: silent.then_some(count("heads") as usize),
            feature: feature.map(|name| name.replace('_', "-").parse().unwrap()),
            size: alone.map(|_| count("image_size") as u32),
            ..Choices::default()
        };
        let place = alone.map_or(self.folder(), |file| self.folder().join(file));
        Vit::open_with(&place, &choices)
    }
}

/// What `case.json` would say of a base.
fn described(config: &VitConfig) -> Value {
    let shape = config.shape(config.image_size);
    let mut said = json!({
        "image_size": config.image_size, "patch": config.patch, "hidden": config.hidden,
        "layers": config.layers, "heads": config.heads, "mlp": config.mlp,
        "activation": config.activation, "eps": config.eps, "class_token": shape.class_token,
        "registers": config.registers, "positions": "learned",
        "interpolation": config.interpolation, "gated": config.gated,
        "qkv_bias": config.qkv_bias, "key_bias": config.qkv_bias && !config.no_key_bias,
        "qk_norm": config.qk_norm, "layer_scale": config.layer_scale,
        "pre_norm": shape.norms.first, "projection": config.projection,
    });
    if let crate::base::Positions::Rotary { theta } = config.positions {
        said["positions"] = "rotary".into();
        said["theta"] = theta.into();
        // Nothing is interpolated.
        said["interpolation"] = "plain".into();
    }
    said
}

#[test]
fn the_bases_of_every_library_are_read_as_what_they_are() {
    for case in cases() {
        let vit = case.open(None).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        let mut expected = case.said["shape"].clone();
        let no_bias = expected["qkv_bias"] == false;
        if no_bias {
            expected["key_bias"] = false.into();
        }
        if expected["positions"] == "rotary" {
            expected["interpolation"] = "plain".into();
        }
        assert_eq!(described(&vit.config), expected, "{}", case.name);
        let pooling = match vit::Pooling::from(vit.config.pooling) {
            vit::Pooling::Class => "class",
            vit::Pooling::Mean => "mean",
            vit::Pooling::NormOfMean => "norm_of_mean",
            vit::Pooling::ClassMean => "class_mean",
            vit::Pooling::Attention { .. } => "attention",
        };
        assert_eq!(pooling, case.said["default"], "{}", case.name);
    }
}

/// Bit for bit: the digest is over configuration and values.
#[test]
fn a_base_that_is_written_as_a_folder_is_the_same_base() {
    for case in cases() {
        for feature in [None].into_iter().chain(case.texts("poolings").map(Some)) {
            let name = format!("{} {feature:?}", case.name);
            let vit = case.open(feature).unwrap_or_else(|e| panic!("{name}: {e}"));
            let dir = tempfile::tempdir().unwrap();
            for (file, bytes) in vit.files().unwrap() {
                fs::write(dir.path().join(file), bytes).unwrap();
            }
            let again = Vit::open(dir.path()).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(again.config, vit.config, "{name}");
            assert_eq!(again.digest(), vit.digest(), "{name}");
            assert_eq!(again.preprocessing, vit.preprocessing, "{name}");
        }
    }
}

#[test]
fn every_feature_at_every_size_is_what_the_libraries_compute() {
    let inputs = inputs();
    for case in cases() {
        for feature in case.texts("poolings") {
            let vit = case.open(Some(feature)).unwrap_or_else(|e| panic!("{}: {e}", case.name));
            for size in case.said["sizes"].as_array().unwrap() {
                let name = format!("{feature}.{size}");
                let size = size.as_u64().unwrap() as usize;
                let pixels = &inputs[&format!("pixels.{size}")].data;
                let predictor = Predictor::new(&Cpu::<f32>::poisoned(), &vit, None, size);
                let ours = predictor.features(pixels).unwrap();
                let distance = distance(&ours, &case.golden[&name].data);
                assert!(distance < 1e-5, "{} {name}: {distance:e}", case.name);
            }
        }
    }
}

#[test]
fn adapters_on_every_base_compute_what_they_do_there() {
    let pixels = &inputs()["pixels.16"].data;
    for case in cases() {
        for adapter in case.texts("adapters") {
            let vit = case.open(None).unwrap();
            let place = case.folder().join(adapter);
            let read = peft::read(&place, input::folder(&place), &vit.config);
            let peft::Adapter { rank, alpha, mut sites, .. } =
                read.unwrap_or_else(|e| panic!("{} {adapter}: {e}", case.name));
            let scale = (alpha / rank as f64) as f32;
            sites.values_mut().for_each(|f| f.b.data.iter_mut().for_each(|b| *b *= scale));
            let predictor = Predictor::changed(&Cpu::<f32>::poisoned(), &vit, &sites, 16);
            let feature = case.said["default"].as_str().unwrap();
            let theirs = &case.golden[&format!("{adapter}.{feature}.16")].data;
            let error = distance(&predictor.features(pixels).unwrap(), theirs);
            assert!(error < 1e-5, "{} {adapter}: {error:e}", case.name);
        }
    }
}

#[test]
fn adapters_that_are_written_are_read_as_the_same_sites() {
    for case in cases() {
        let config = case.open(None).unwrap().config;
        for site in config.shape(config.image_size).sites() {
            let site = site.to_string();
            let path = crate::base::adapter_path(config.family, config.gated, &site).unwrap();
            let read = crate::base::sites_of_adapter_path(&config, &path);
            assert_eq!(read, [site], "{} {path}", case.name);
        }
    }
}
