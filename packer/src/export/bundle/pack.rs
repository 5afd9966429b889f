//! Puts a bundle together: its payload, its manifest, its signatures.

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use medforge_runtime::bundle::manifest::{self, Manifest};
use medforge_runtime::bundle::measured::Measured;
use medforge_runtime::bundle::{Trust, assemble, list, sha256_hex, verify};
use medforge_runtime::classify::{self, Classifier, affordable};

use super::check::{check, weights_fit};
use super::golden::golden;
use super::layout::Layout;
use super::options::{Options, Origin, Packed};
use super::tensors::write;
use crate::base::Vit;
use crate::export::{card, onnx, sbom};
use crate::lora::ModuleCard;
use crate::{Error, output};

/// The files of a bundle by name.
type Payload = BTreeMap<String, Vec<u8>>;

/// The bundle of `vit` and `packed`, signed by `keys`.
///
/// # Errors
/// [`Error::Bundle`], [`Error::ImageSize`], [`Error::Runtime`].
pub(super) fn pack(
    vit: &Vit,
    packed: Packed,
    options: &Options,
    keys: &[SigningKey],
) -> Result<Vec<u8>, Error> {
    packed.measured.iter().try_for_each(|(task, measured)| measured.check_intervals(task))?;
    let digest = vit.digest();
    let size = check(packed.modules, &digest)?;
    let mut payload = base_files(vit, size)?;
    let layout = Layout::new(vit, packed.model, packed.modules, &digest)?;
    let mut manifest = described(base(vit, &digest, size), &packed, options);
    (manifest.compositions, manifest.routing) = (layout.compositions, layout.routing);
    add_origins(packed.origins, &mut manifest, &mut payload);
    for (module, factors) in layout.modules {
        payload.insert(module.entry.clone(), factors);
        manifest.modules.push(module);
    }
    if let Some(routing) = &packed.model.routing {
        payload.insert(manifest::PROTOTYPES.into(), write(&routing.tasks)?);
    }
    add_heads(&packed, options, &mut manifest, &mut payload)?;
    let card = card::model_card(&manifest, packed.modules);
    payload.insert("model_card.md".to_owned(), card.into_bytes());
    payload.insert("sbom.json".to_owned(), sbom::sbom());
    // Golden vectors take long, so a bundle that no device would open is refused before.
    manifest.entries = list(&payload);
    affordable(&manifest, &payload, &classify::Options::default())?;
    let preprocessing = &packed.modules[0].card.preprocessing;
    let golden = golden(vit, packed.model, &layout.networks, preprocessing)?;
    payload.insert("golden.safetensors".to_owned(), write(&golden)?);
    manifest.entries = list(&payload);
    let bytes = assemble(&manifest, &payload, keys)?;
    drop(payload);
    let trust = Trust::new(keys.iter().map(SigningKey::verifying_key).collect(), keys.len())?;
    Classifier::load(verify(bytes.clone(), &trust)?)?;
    Ok(bytes)
}

/// The base's graph and weights.
fn base_files(vit: &Vit, size: u32) -> Result<Payload, Error> {
    let graph = onnx::Graph::new(vit, size)?;
    let weights = write(&graph.tensors)?;
    weights_fit(weights.len() as u64)?;
    Ok(Payload::from([
        ("base.onnx".to_owned(), graph.without_weights()),
        ("base.safetensors".to_owned(), weights),
    ]))
}

/// The manifest of a bundle that has nothing but its base yet.
fn described(base: manifest::Base, packed: &Packed, options: &Options) -> Manifest {
    let metrics = packed.measured.iter();
    let metrics = metrics.filter_map(|(task, m)| Some((task.clone(), main_result(m)?)));
    Manifest {
        format: manifest::FORMAT.into(),
        version: manifest::VERSION,
        name: options.name.clone(),
        counter: options.counter,
        created: output::now(),
        predecessor: options.predecessor.clone(),
        entries: Vec::new(),
        base,
        modules: Vec::new(),
        heads: Vec::new(),
        compositions: Vec::new(),
        routing: None,
        preprocessing: packed.modules[0].card.preprocessing.clone(),
        intended_use: options.intended_use.clone(),
        metrics: metrics.collect(),
        measured: packed.measured.clone(),
        members: Vec::new(),
        int8: BTreeMap::new(),
        tool: manifest::Tool { name: "packer".into(), version: env!("CARGO_PKG_VERSION").into() },
    }
}

/// Adds the contributors of a merged model and their cards.
fn add_origins(origins: &[Origin], manifest: &mut Manifest, payload: &mut Payload) {
    for Origin { member, card } in origins {
        let entry =
            card.as_ref().map(|card| (format!("cards/{}.md", sha256_hex(card)), card.clone()));
        manifest.members.push(manifest::Member {
            card: entry.as_ref().map(|(name, _)| name.clone()),
            ..member.clone()
        });
        payload.extend(entry);
    }
}

/// Adds the head of each task.
fn add_heads(
    packed: &Packed,
    options: &Options,
    manifest: &mut Manifest,
    payload: &mut Payload,
) -> Result<(), Error> {
    for (task, head) in &packed.model.heads {
        let entry = format!("heads/{task}.safetensors");
        payload.insert(entry.clone(), head.file()?);
        let card = packed.modules.iter().find(|m| m.card.task == *task).map(|m| &m.card);
        let trained = |class: &String| card.is_none_or(|card| card.classes.contains(class));
        manifest.heads.push(manifest::Head {
            task: task.clone(),
            entry,
            classes: head.classes.clone(),
            zero_shot: head.classes.iter().filter(|class| !trained(class)).cloned().collect(),
            codes: Vec::new(),
            calibration: head.familiar.as_ref().and(card).and_then(|card| stated(card, options)),
        });
    }
    Ok(())
}

/// A module's calibration as the manifest states it.
fn stated(card: &ModuleCard, options: &Options) -> Option<manifest::Calibration> {
    let own = card.calibration.as_ref()?;
    Some(manifest::Calibration {
        temperature: own.temperature,
        error: own.error_after.value,
        threshold: own.threshold,
        least_probability: options.least_probability,
        n: own.images as u64,
    })
}

/// The main result, if it has an interval.
fn main_result(measured: &Measured) -> Option<manifest::Metric> {
    let m = measured.main()?;
    Some(manifest::Metric {
        name: m.name.clone(),
        value: m.value,
        low: m.low?,
        high: m.high?,
        n: measured.images,
    })
}

/// The base as the manifest states it.
fn base(vit: &Vit, digest: &str, size: u32) -> manifest::Base {
    let config = &vit.config;
    let small = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    manifest::Base {
        family: config.family.name().into(),
        digest: digest.to_owned(),
        image_size: [size, size],
        feature_size: small(config.features()),
        layers: small(config.layers),
        heads: Some(small(config.heads)),
        licence: None,
    }
}
