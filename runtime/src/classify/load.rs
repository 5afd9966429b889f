//! From a verified bundle to the active set that it makes by itself, checked against the bundle's golden vectors.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::active::{Active, Task};
use super::base::Base;
use super::composed::{Composed, Head, Module};
use super::{Cancel, GOLDEN_TOLERANCE, Options, graph, parts};
use crate::Error;
use crate::bundle::VerifiedBundle;
use crate::bundle::manifest::{Composition, Manifest, Mode};

/// The set of `bundle` alone. It shares the base of `other` if it has the same one.
pub(super) fn active(bundle: VerifiedBundle, options: &Options, other: Option<&Active>) -> Result<Active, Error> {
    let manifest = bundle.manifest();
    let digest_of = |name: &str| -> String {
        let entry = manifest.entries.iter().find(|entry| entry.name == name);
        entry.map(|entry| entry.sha256.clone()).unwrap_or_default()
    };
    let base_id = ["base.onnx", "base.safetensors"].map(digest_of);
    let (base, frozen) = match other.filter(|other| other.base_id == base_id) {
        Some(other) => (other.base.clone(), other.frozen.clone()),
        None => {
            let weights = bundle.views("base.safetensors")?;
            let base = Base::load(bundle.entry("base.onnx")?, &weights, options.pool()?)?;
            let frozen = base.adapter(&BTreeMap::new())?;
            (Arc::new(base), Arc::new(frozen))
        }
    };
    let (sites, feature, image) = (&base.signature.sites, base.signature.feature, base.signature.image);
    let stated = (manifest.base.image_size.map(|side| side as usize), manifest.base.feature_size as usize);
    if stated != (image, feature) {
        return Err(graph::refuse(format!(
            "is for {image:?} pixels and {feature} features, the manifest says {stated:?}"
        )));
    }
    let mut modules = BTreeMap::new();
    for stated in &manifest.modules {
        let factors = parts::module(stated, bundle.tensors(&stated.entry)?, sites)?;
        let known =
            other.filter(|other| Arc::ptr_eq(&other.base, &base)).and_then(|other| other.modules.get(&stated.id));
        let module = match known.filter(|known| known.task == stated.task) {
            Some(known) => known.clone(),
            None => Arc::new(Module::new(&stated.id, &stated.task, factors)),
        };
        modules.insert(stated.id.clone(), module);
    }
    let routing = match &manifest.routing {
        Some(routing) => {
            let tensors = bundle.tensors(&routing.entry)?;
            Some(Arc::new(parts::prototypes(routing, &manifest.heads, tensors, feature)?))
        }
        None => None,
    };
    let id: Arc<str> = bundle.id().into();
    let mut tasks = BTreeMap::new();
    for stated in &manifest.heads {
        let tensors = parts::head(stated, bundle.tensors(&stated.entry)?, feature)?;
        let head = Head::new(stated, &digest_of(&stated.entry), tensors);
        let Composition { mode, parts, .. } = composition(manifest, &stated.task);
        let default = Composed::new(&base, &manifest.base.digest, &head, *mode, parts, &modules)?;
        let (head, default) = (Arc::new(head), Arc::new(default));
        tasks.insert(stated.task.clone(), Task { head, default, bundle: id.clone(), routing: routing.clone() });
    }
    let brought: BTreeSet<String> = modules.keys().cloned().collect();
    let active = Active {
        base_id,
        digest: manifest.base.digest.clone(),
        preprocessing: manifest.preprocessing.clone(),
        frozen,
        modules,
        bundles: BTreeMap::from([(id, brought)]),
        tasks,
        base: base.clone(),
    };
    check_golden(&active, &bundle)?;
    Ok(active)
}

fn composition<'a>(manifest: &'a Manifest, task: &str) -> &'a Composition {
    let of_task = |c: &&Composition| c.task == task;
    manifest.compositions.iter().find(of_task).expect("a checked manifest has a composition for every task")
}

fn check_golden(active: &Active, bundle: &VerifiedBundle) -> Result<(), Error> {
    let manifest = bundle.manifest();
    let networks = |task: &str| match composition(manifest, task) {
        Composition { mode: Mode::Fusion, .. } => 1,
        Composition { mode: Mode::Mixture, parts, .. } => parts.len(),
        Composition { mode: Mode::Routed, parts, .. } => 1 + parts.len(),
    };
    let counted: Vec<_> = manifest.heads.iter().map(|head| (head, networks(&head.task))).collect();
    let (image, width) = (active.base.signature.image, active.base.signature.feature);
    let golden = parts::golden(&counted, bundle.tensors("golden.safetensors")?, image, width)?;
    let pixels = [golden.pixels];
    for (name, task) in &active.tasks {
        let Some((expected_feature, expected)) = golden.by_task.get(name) else { continue };
        let composed = &task.default;
        let routing = task.routing.as_ref().filter(|_| composed.routed());
        let frozen = routing.map(|_| (0, &*active.frozen));
        let rows: Vec<_> = frozen.into_iter().chain(composed.networks.iter().map(|network| (0, &**network))).collect();
        let never = Cancel::default();
        let features = active.base.features(&pixels, &rows, &|| never.asked())?;
        let shares = routing.map(|routing| routing.shares(&features[0]));
        let own = &features[usize::from(routing.is_some())..];
        let probabilities = composed.probabilities(&task.head, own, &composed.weights(shares.as_ref()))?;
        let feature = features.concat();
        let square = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
        let pairs = feature.iter().zip(expected_feature).map(|(&ours, &theirs)| f64::from(ours) - f64::from(theirs));
        let size = square(&mut expected_feature.iter().map(|&v| f64::from(v)));
        let relative = square(&mut { pairs }) / size;
        let differences = probabilities.iter().zip(expected).map(|(&ours, &theirs)| f64::from((ours - theirs).abs()));
        let absolute = differences.fold(0.0, f64::max);
        // Written so that a NaN (a golden feature of zeros) is refused.
        if !(relative <= GOLDEN_TOLERANCE && absolute <= GOLDEN_TOLERANCE) {
            return Err(Error::GoldenMismatch { task: name.clone(), feature: relative, probability: absolute });
        }
    }
    Ok(())
}
