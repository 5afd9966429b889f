//! From a verified bundle to the active set that it makes by itself, checked against the bundle's
//! golden vectors.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::active::{Active, Brought, Task};
use super::base::{Adapter, Base, Plan};
use super::composed::{Composed, Module};
use super::cost::Counted;
use super::graph::Signature;
use super::head::Head;
use super::parts::Prototypes;
use super::{Answers, GOLDEN_LEVELS, GOLDEN_TOLERANCE, INT8_TOLERANCE, Options, Precision, parts};
use crate::bundle::description::contradiction;
use crate::bundle::manifest::{Composition, Manifest, Mode};
use crate::bundle::{Description, VerifiedBundle};
use crate::image::RgbImage8;
use crate::preprocess::Preprocessing;
use crate::vit::Layout;
use crate::{Error, memory};

/// The set of `bundle` alone, checked against its golden vectors. It shares the base of `other` if
/// it has the same one; there are `beside` bytes of modules in memory that stay.
pub(super) fn active(
    bundle: &VerifiedBundle,
    options: &Options,
    other: Option<&Active>,
    beside: u128,
) -> Result<Active, Error> {
    let int8 = options.precision == Precision::Int8;
    if int8 && bundle.manifest().int8.is_empty() {
        let what = "what eight bits cost it was not measured; pack it with images to measure that \
                    with, or run it in 32";
        return Err(Error::Precision { what: what.into() });
    }
    let active = unchecked(bundle, options, other, beside)?;
    let golden = golden(&active, bundle)?;
    if let Some(image) = &golden.image {
        prepared(&active.preprocessing, image, &golden.pixels)?;
    }
    let (expected, tolerance) =
        if int8 { (&golden.int8, INT8_TOLERANCE) } else { (&golden.by_task, GOLDEN_TOLERANCE) };
    for (task, answer) in answers(&active, golden.pixels)? {
        let Some(expected) = expected.get(&task) else { continue };
        compare(task, &answer, expected, tolerance)?;
    }
    Ok(active)
}

/// The set of `bundle` alone, without a look at its golden vectors, and what they would be.
pub(super) fn rehearsed(
    bundle: &VerifiedBundle,
    options: &Options,
) -> Result<(Active, Answers), Error> {
    let active = unchecked(bundle, options, None, 0)?;
    let pixels = golden(&active, bundle)?.pixels;
    let answers = answers(&active, pixels)?;
    Ok((active, answers))
}

fn unchecked(
    bundle: &VerifiedBundle,
    options: &Options,
    other: Option<&Active>,
    beside: u128,
) -> Result<Active, Error> {
    let manifest = bundle.manifest();
    let digest_of = |name: &str| -> String {
        let entry = manifest.entries.iter().find(|entry| entry.name == name);
        entry.map(|entry| entry.sha256.clone()).unwrap_or_default()
    };
    let base_id = ["base.onnx", "base.safetensors"].map(digest_of);
    let counted = |layout: &Layout, signature: &Signature| {
        let counted = Counted::new(
            manifest,
            bundle.bytes().len(),
            |name| bundle.views(name),
            layout,
            signature,
            options,
        )?;
        counted.within(options.most, beside).map(|()| counted.modules)
    };
    let (base, frozen, bytes) = match other.filter(|other| other.base_id == base_id) {
        Some(other) => {
            let bytes = counted(other.base.layout(), &other.base.signature)?;
            (other.base.clone(), other.frozen.clone(), bytes)
        }
        None => {
            let weights = bundle.views("base.safetensors")?;
            let plan = Plan::read(bundle.entry("base.onnx")?, &weights)?;
            let bytes = counted(&plan.layout, &plan.signature)?;
            let base = Base::new(plan, &weights, options.precision, options.pool()?)?;
            let frozen = base.adapter(&BTreeMap::new())?;
            (Arc::new(base), Arc::new(frozen), bytes)
        }
    };
    let (sites, feature) = (&base.signature.sites, base.signature.feature);
    let mut modules = BTreeMap::new();
    for stated in &manifest.modules {
        let factors = parts::module(stated, bundle.tensors(&stated.entry)?, sites)?;
        let known = other
            .filter(|other| Arc::ptr_eq(&other.base, &base))
            .and_then(|other| other.modules.get(&stated.id));
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
    let signers: Arc<[String]> =
        bundle.signers().iter().map(|key| hex::encode(key.as_bytes())).collect();
    let mut tasks = BTreeMap::new();
    for stated in &manifest.heads {
        let tensors = parts::head(stated, bundle.tensors(&stated.entry)?, feature)?;
        let head = Head::new(stated, &digest_of(&stated.entry), tensors);
        let Composition { mode, parts, .. } = composition(manifest, &stated.task);
        let default = Composed::new(&base, &manifest.base.digest, &head, *mode, parts, &modules);
        let default = default.map_err(|error| match error {
            Error::Selection { what } => {
                contradiction(format!("the composition of {}: {what}", stated.task))
            }
            other => other,
        })?;
        let default = default.calibrated(&head);
        let (head, default) = (Arc::new(head), Arc::new(default));
        let (bundle, signers, routing) = (id.clone(), signers.clone(), routing.clone());
        tasks.insert(stated.task.clone(), Task { head, default, bundle, signers, routing });
    }
    let text = String::from_utf8_lossy(&manifest.to_canonical()?).into_owned();
    let brought =
        Brought { modules: modules.keys().cloned().collect(), manifest: text.into(), bytes };
    Ok(Active {
        base_id,
        digest: manifest.base.digest.clone(),
        preprocessing: manifest.preprocessing.clone(),
        frozen,
        modules,
        bundles: BTreeMap::from([(id, brought)]),
        tasks,
        base: base.clone(),
    })
}

fn composition<'a>(manifest: &'a Manifest, task: &str) -> &'a Composition {
    let of_task = |c: &&Composition| c.task == task;
    manifest
        .compositions
        .iter()
        .find(of_task)
        .expect("a checked manifest has a composition for every task")
}

fn golden(active: &Active, bundle: &VerifiedBundle) -> Result<parts::Golden, Error> {
    let manifest = bundle.manifest();
    let networks = |task: &str| match composition(manifest, task) {
        Composition { mode: Mode::Fusion, .. } => 1,
        Composition { mode: Mode::Mixture, parts, .. } => parts.len(),
        Composition { mode: Mode::Routed, parts, .. } => 1 + parts.len(),
    };
    let counted: Vec<_> = manifest.heads.iter().map(|head| (head, networks(&head.task))).collect();
    let (image, width) = (active.base.signature.image, active.base.signature.feature);
    let tensors = bundle.tensors("golden.safetensors")?;
    parts::golden(&counted, tensors, image, width, !manifest.int8.is_empty())
}

/// Each network once, whatever tasks it takes part in.
fn answers(active: &Active, pixels: Vec<f32>) -> Result<Answers, Error> {
    let mut networks: Vec<&Arc<Adapter>> = Vec::new();
    let mut place = |network| {
        networks.iter().position(|known| Arc::ptr_eq(known, network)).unwrap_or_else(|| {
            networks.push(network);
            networks.len() - 1
        })
    };
    let mut taking = Vec::with_capacity(active.tasks.len());
    for (name, task) in &active.tasks {
        let routing = task.routing.as_ref().filter(|_| task.default.routed());
        let all = routing.map(|_| &active.frozen).into_iter().chain(&task.default.networks);
        taking.push((name, task, routing, all.map(&mut place).collect::<Vec<_>>()));
    }
    let rows: Vec<_> = networks.iter().map(|network| (0, &***network)).collect();
    let seen = active.base.run(&[pixels], &rows, false, &|| false)?;
    let answer =
        |(name, task, routing, places): (&String, &Task, Option<&Arc<Prototypes>>, Vec<usize>)| {
            let features: Vec<Vec<f32>> =
                places.iter().map(|&place| seen[place].feature.clone()).collect();
            if features.iter().flatten().any(|value| !value.is_finite()) {
                return Err(Error::GoldenFeature { task: name.clone() });
            }
            let shares = routing.map(|routing| routing.shares(&features[0]));
            let own = &features[usize::from(routing.is_some())..];
            let composed = &task.default;
            let probabilities =
                composed.probabilities(&task.head, own, &composed.weights(shares.as_ref()))?;
            Ok((name.clone(), (features.concat(), probabilities)))
        };
    taking.into_iter().map(answer).collect()
}

/// Whether the golden image becomes the golden pixels here, each to one grey level.
fn prepared(preprocessing: &Preprocessing, image: &RgbImage8, golden: &[f32]) -> Result<(), Error> {
    let mut ours = memory::floats(golden.len(), "the golden image's pixels")?;
    preprocessing
        .apply(&image.view(), &mut ours)
        .map_err(|_| Error::GoldenPixels { levels: f64::INFINITY })?;
    let plane = golden.len() / 3;
    let pairs = ours.iter().zip(golden).enumerate();
    let levels = pairs.map(|(place, (&ours, &golden))| {
        f64::from((ours - golden).abs()) * preprocessing.std[place / plane] / preprocessing.rescale
    });
    let levels = levels.fold(0.0, f64::max);
    if levels <= GOLDEN_LEVELS { Ok(()) } else { Err(Error::GoldenPixels { levels }) }
}

fn compare(
    task: String,
    (features, probabilities): &(Vec<f32>, Vec<f32>),
    (expected_features, expected): &(Vec<f32>, Vec<f32>),
    tolerance: f64,
) -> Result<(), Error> {
    let lengths = |features: &[f32], probabilities: &[f32]| (features.len(), probabilities.len());
    if lengths(features, probabilities) != lengths(expected_features, expected) {
        return Err(Error::GoldenMismatch {
            task,
            feature: f64::INFINITY,
            probability: f64::INFINITY,
        });
    }
    let square = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let pairs = features
        .iter()
        .zip(expected_features)
        .map(|(&ours, &theirs)| f64::from(ours) - f64::from(theirs));
    let size = square(&mut expected_features.iter().map(|&v| f64::from(v)));
    let feature = square(&mut { pairs }) / size;
    let differences =
        probabilities.iter().zip(expected).map(|(&ours, &theirs)| f64::from((ours - theirs).abs()));
    let probability = differences.fold(0.0, f64::max);
    // Written so that a NaN (a golden feature of zeros) is refused.
    if feature <= tolerance && probability <= tolerance {
        Ok(())
    } else {
        Err(Error::GoldenMismatch { task, feature, probability })
    }
}
