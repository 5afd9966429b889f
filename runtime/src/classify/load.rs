//! From a verified bundle to the active set that it makes by itself, checked against the bundle's
//! golden vectors.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::active::{Active, FromBundle, Task};
use super::base::{Adapter, Base};
use super::composed::{Composed, Module};
use super::cost::Counted;
use super::golden::{self, Answers, composition};
use super::head::Head;
use super::options::{Options, Precision};
use super::{graph, parts};
use crate::Error;
use crate::bundle::description::contradiction;
use crate::bundle::manifest::{self, Composition, Manifest};
use crate::bundle::{Description, VerifiedBundle};
use crate::vit::Shape;

/// The set of `bundle` alone, checked against its golden vectors. It shares the base of `other` if
/// it has the same one. `beside` bytes of modules in memory stay.
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
    golden::check(&active, bundle, int8)?;
    Ok(active)
}

/// The set of `bundle` alone, not checked against its golden vectors, and what they would be.
pub(super) fn rehearsed(
    bundle: &VerifiedBundle,
    options: &Options,
) -> Result<(Active, Answers), Error> {
    let active = unchecked(bundle, options, None, 0)?;
    let answers = golden::computed(&active, bundle)?;
    Ok((active, answers))
}

fn unchecked(
    bundle: &VerifiedBundle,
    options: &Options,
    other: Option<&Active>,
    beside: u128,
) -> Result<Active, Error> {
    let manifest = bundle.manifest();
    let base_id = ["base.onnx", "base.safetensors"].map(|name| digest_of(manifest, name));
    let same = other.filter(|other| other.base_id == base_id);
    let Loaded { base, frozen, bytes } = loaded(bundle, options, same, beside)?;
    let modules = modules(bundle, &base, same)?;
    let id: Arc<str> = bundle.id().into();
    let tasks = tasks(bundle, &base, &modules, &id)?;
    let text = String::from_utf8_lossy(&manifest.to_canonical()?).into_owned();
    let ids = modules.keys().cloned().collect();
    let contents = FromBundle { modules: ids, manifest: text.into(), bytes };
    Ok(Active {
        base_id,
        digest: manifest.base.digest.clone(),
        preprocessing: manifest.preprocessing.clone(),
        frozen,
        modules,
        bundles: BTreeMap::from([(id, contents)]),
        tasks,
        base,
    })
}

fn digest_of(manifest: &Manifest, name: &str) -> String {
    let entry = manifest.entries.iter().find(|entry| entry.name == name);
    entry.map(|entry| entry.sha256.clone()).unwrap_or_default()
}

/// A base in memory, and how many bytes the modules of its bundle take.
struct Loaded {
    base: Arc<Base>,
    frozen: Arc<Adapter>,
    bytes: u128,
}

/// The base of `bundle`, which `same` may have already. Nothing is made before its cost is known.
fn loaded(
    bundle: &VerifiedBundle,
    options: &Options,
    same: Option<&Active>,
    beside: u128,
) -> Result<Loaded, Error> {
    let (manifest, length) = (bundle.manifest(), bundle.bytes().len());
    let counted = |shape: &Shape| {
        let views = |name: &str| bundle.views(name);
        let counted = Counted::new(manifest, length, views, shape, options)?;
        counted.within(options.most, beside).map(|()| counted.modules)
    };
    if let Some(Active { base, frozen, .. }) = same {
        let bytes = counted(base.shape())?;
        return Ok(Loaded { base: base.clone(), frozen: frozen.clone(), bytes });
    }
    let weights = bundle.views("base.safetensors")?;
    let shape = graph::read(bundle.entry("base.onnx")?, &weights)?;
    let bytes = counted(&shape)?;
    let base = Base::new(shape, &weights, options.precision, options.pool()?)?;
    let frozen = base.adapter(&BTreeMap::new())?;
    Ok(Loaded { base: Arc::new(base), frozen: Arc::new(frozen), bytes })
}

/// The modules of `bundle` by id; those that `same`, with this base, has already.
fn modules(
    bundle: &VerifiedBundle,
    base: &Base,
    same: Option<&Active>,
) -> Result<BTreeMap<String, Arc<Module>>, Error> {
    let one = |stated: &manifest::Module| {
        let tensors = bundle.tensors(&stated.entry)?;
        let factors = parts::module(stated, tensors, &base.signature.sites)?;
        let known = same.and_then(|same| same.modules.get(&stated.id));
        let module = match known.filter(|known| known.task == stated.task) {
            Some(known) => known.clone(),
            None => Arc::new(Module::new(&stated.id, &stated.task, factors)),
        };
        Ok((stated.id.clone(), module))
    };
    bundle.manifest().modules.iter().map(one).collect()
}

/// The tasks of `bundle`, whose id is `id`, each with its head and its default.
fn tasks(
    bundle: &VerifiedBundle,
    base: &Base,
    modules: &BTreeMap<String, Arc<Module>>,
    id: &Arc<str>,
) -> Result<BTreeMap<String, Task>, Error> {
    let (manifest, feature) = (bundle.manifest(), base.signature.feature);
    let routing = match &manifest.routing {
        Some(routing) => {
            let tensors = bundle.tensors(&routing.entry)?;
            Some(Arc::new(parts::prototypes(routing, &manifest.heads, tensors, feature)?))
        }
        None => None,
    };
    let signers: Arc<[String]> =
        bundle.signers().iter().map(|key| hex::encode(key.as_bytes())).collect();
    let mut tasks = BTreeMap::new();
    for stated in &manifest.heads {
        let tensors = parts::head(stated, bundle.tensors(&stated.entry)?, feature)?;
        let head = Head::new(stated, &digest_of(manifest, &stated.entry), tensors);
        let Composition { mode, parts, .. } = composition(manifest, &stated.task);
        let default = Composed::new(base, &manifest.base.digest, &head, *mode, parts, modules);
        let default = default.map_err(|error| match error {
            Error::Selection { what } => {
                contradiction(format!("the composition of {}: {what}", stated.task))
            }
            other => other,
        })?;
        let default = Arc::new(default.calibrated(&head));
        let (bundle, signers, routing) = (id.clone(), signers.clone(), routing.clone());
        let task = Task { head: Arc::new(head), default, bundle, signers, routing };
        tasks.insert(stated.task.clone(), task);
    }
    Ok(tasks)
}
