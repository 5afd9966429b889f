//! Packs a base and modules into a signed bundle: graph, weights, factors, heads, golden vectors, card, manifest.
//!
//! Refused: modules of another base or input size, two modules for one task, and whatever the runtime would refuse: a
//! bundle is verified and loaded, golden vectors and all, before it is handed out.

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use medforge_runtime::bundle::manifest::{self, Manifest, Mode};
use medforge_runtime::bundle::{Trust, assemble, list, sha256_hex, verify};
use medforge_runtime::classify::Classifier;
use medforge_runtime::tensors::{self, Tensor};

use super::{card, onnx};
use crate::base::{Family, Vit};
use crate::device::cpu::Cpu;
use crate::lora::Module;
use crate::predict::{Predictor, probabilities};
use crate::{Error, output};

/// What people say about a bundle.
#[derive(Clone, Debug)]
pub struct Options {
    /// What people call it.
    pub name: String,
    /// Counts the releases of this name.
    pub counter: u64,
    /// The id of the bundle that it replaces.
    pub predecessor: Option<String>,
    /// For whom and what it is made.
    pub intended_use: String,
}

/// The bundle of `vit` and `modules`, one for each task, signed by `keys`. Its input has the size that they were trained at.
///
/// # Errors
/// [`Error::Bundle`] for modules that cannot be in it, [`Error::ImageSize`], [`Error::Runtime`].
pub fn build_bundle(vit: &Vit, modules: &[Module], options: &Options, keys: &[SigningKey]) -> Result<Vec<u8>, Error> {
    let digest = vit.digest();
    let size = check(modules, &digest)?;
    let graph = onnx::Graph::new(vit, size)?;
    let mut payload = BTreeMap::new();
    payload.insert("base.onnx".to_owned(), graph.without_weights());
    payload.insert("base.safetensors".to_owned(), write(&graph.tensors)?);
    drop(graph);
    payload.insert("golden.safetensors".to_owned(), write(&golden(vit, modules, size)?)?);
    let mut manifest = Manifest {
        format: manifest::FORMAT.into(),
        version: manifest::VERSION,
        name: options.name.clone(),
        counter: options.counter,
        created: output::now(),
        predecessor: options.predecessor.clone(),
        entries: Vec::new(),
        base: base(vit, digest, size),
        modules: Vec::new(),
        heads: Vec::new(),
        compositions: Vec::new(),
        preprocessing: vit.preprocessing_for(size)?,
        intended_use: options.intended_use.clone(),
        metrics: BTreeMap::new(),
        tool: manifest::Tool { name: "packer".into(), version: env!("CARGO_PKG_VERSION").into() },
    };
    for module in modules {
        add(module, &mut manifest, &mut payload)?;
    }
    payload.insert("model_card.md".to_owned(), card::model_card(&manifest, modules).into_bytes());
    manifest.entries = list(&payload);
    let bytes = assemble(&manifest, &payload, keys)?;
    drop(payload);
    let trust = Trust::new(keys.iter().map(SigningKey::verifying_key).collect(), keys.len())?;
    Classifier::load(verify(bytes.clone(), &trust)?)?;
    Ok(bytes)
}

/// The input size that the modules agree on.
fn check(modules: &[Module], digest: &str) -> Result<u32, Error> {
    let refuse = |what: String| Err(Error::Bundle { what });
    let Some(size) = modules.first().map(|first| first.card.image_size) else {
        return refuse("a bundle needs a module; name one with --module".into());
    };
    for (index, module) in modules.iter().enumerate() {
        let (card, task) = (&module.card, &module.card.task);
        if card.base_digest != digest {
            return refuse(format!("the module for {task} was trained on another base ({})", card.base_digest));
        }
        if card.image_size != size {
            let (own, first) = (card.image_size, &modules[0].card.task);
            return refuse(format!(
                "the module for {task} was trained at {own} pixels and the one for {first} at {size}"
            ));
        }
        if module.sites.is_empty() {
            return refuse(format!("the module for {task} adapts no site; train it with --targets"));
        }
        if modules[..index].iter().any(|other| other.card.task == *task) {
            return refuse(format!("two modules are for the task {task}; a bundle takes one for each task"));
        }
    }
    Ok(size)
}

/// Adds a module with its head, composition and main result.
fn add(module: &Module, manifest: &mut Manifest, payload: &mut BTreeMap<String, Vec<u8>>) -> Result<(), Error> {
    let task = module.card.task.clone();
    let factors = write(&factors(module))?;
    let id = sha256_hex(&factors);
    let entry = format!("modules/{id}.safetensors");
    payload.insert(entry.clone(), factors);
    manifest.modules.push(manifest::Module {
        id: id.clone(),
        contributor: module.card.contributor.clone(),
        task: task.clone(),
        rank: u32::try_from(module.rank).unwrap_or(u32::MAX),
        sites: module.sites.keys().cloned().collect(),
        licence: module.card.licence.clone(),
        entry,
    });
    let head = format!("heads/{task}.safetensors");
    let tensors = [("weight", &module.head.weight), ("bias", &module.head.bias)];
    payload.insert(head.clone(), tensors::write(tensors, &BTreeMap::new())?);
    manifest.heads.push(manifest::Head { task: task.clone(), entry: head, classes: module.head.classes.clone() });
    let parts = vec![manifest::Part { module: id, weight: 1.0 }];
    manifest.compositions.push(manifest::Composition { task: task.clone(), mode: Mode::Fusion, parts });
    let recorded = &module.card.metrics;
    if let Some(m) = recorded.iter().find(|m| m.name == "balanced_accuracy").or(recorded.first()) {
        let (name, n) = (m.name.clone(), m.n as u64);
        manifest.metrics.insert(task, manifest::Metric { name, value: m.value, low: m.low, high: m.high, n });
    }
    Ok(())
}

/// The factors as the runtime takes them: `lora_a` `[in, rank]`, `lora_b` `[rank, out]`, alpha/rank folded into `lora_b`.
fn factors(module: &Module) -> BTreeMap<String, Tensor> {
    let sites = module.sites.iter().flat_map(|(site, factors)| {
        let a = transposed(&factors.a, 1.0);
        let b = transposed(&factors.b, module.scale());
        [(format!("{site}.lora_a"), a), (format!("{site}.lora_b"), b)]
    });
    sites.collect()
}

/// The transpose of a matrix, times `scale`.
fn transposed(matrix: &Tensor, scale: f64) -> Tensor {
    let (rows, columns) = (matrix.shape[0], matrix.shape[1]);
    let data = onnx::transposed(&matrix.data, rows, columns);
    Tensor::f32(vec![columns, rows], data.into_iter().map(|v| (f64::from(v) * scale) as f32).collect())
}

/// An input in the range of normalised pixels, and what packer's own forward pass makes of it for every task.
fn golden(vit: &Vit, modules: &[Module], size: u32) -> Result<BTreeMap<String, Tensor>, Error> {
    let side = size as usize;
    let wave = |i: usize| (0.05 * (3 * (i / side % side) + 7 * (i % side) + 11 * (i / side / side)) as f64).sin();
    let pixels: Vec<f32> = (0..3 * side * side).map(|i| wave(i) as f32).collect();
    let device = Cpu::<f32>::new();
    let mut tensors = BTreeMap::new();
    for module in modules {
        let task = &module.card.task;
        let feature = Predictor::new(&device, vit, Some(module), side).features(&pixels)?;
        let shares = probabilities(&module.head, &feature).into_iter().map(|p| p as f32).collect::<Vec<_>>();
        tensors.insert(format!("probabilities.{task}"), Tensor::f32(vec![1, shares.len()], shares));
        tensors.insert(format!("feature.{task}"), Tensor::f32(vec![1, feature.len()], feature));
    }
    tensors.insert("pixels".into(), Tensor::f32(vec![1, 3, side, side], pixels));
    Ok(tensors)
}

fn base(vit: &Vit, digest: String, size: u32) -> manifest::Base {
    let config = &vit.config;
    let small = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    manifest::Base {
        family: match config.family {
            Family::Dinov2 => "dinov2".into(),
            Family::Vit => "vit".into(),
        },
        digest,
        image_size: [size, size],
        feature_size: small(config.hidden),
        layers: small(config.layers),
        heads: Some(small(config.heads)),
        licence: None,
    }
}

fn write(tensors: &BTreeMap<String, Tensor>) -> Result<Vec<u8>, Error> {
    let by_name = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor));
    Ok(tensors::write(by_name, &BTreeMap::new())?)
}
