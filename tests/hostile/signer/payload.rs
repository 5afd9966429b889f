//! Bundles of any payload and manifest, signed by the good bundle's key.

use std::collections::BTreeMap;

use medforge_runtime::bundle::manifest::{Manifest, Module};
use medforge_runtime::bundle::{Description, frame, list, sha256_hex, signature};
use medforge_runtime::tensors::{self, Tensor};

use crate::case::Good;

/// The payload, by name.
pub type Payload = BTreeMap<String, Vec<u8>>;

/// A bundle of this payload and manifest, signed by the good one's key: neither is looked at.
pub fn made(good: &Good, payload: &Payload, mut manifest: Manifest) -> Vec<u8> {
    manifest.entries = list(payload);
    let manifest = serde_json_canonicalizer::to_vec(&manifest).unwrap();
    let signatures =
        signature::sign(std::slice::from_ref(&good.key), Manifest::PAYLOAD_TYPE, &manifest)
            .unwrap();
    let mut entries: Vec<(&str, &[u8])> =
        vec![("manifest.json", &manifest), ("signatures.json", &signatures)];
    entries.extend(payload.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())));
    frame::write(&entries).unwrap()
}

/// The good bundle with a change to both.
pub fn changed(good: &Good, change: impl FnOnce(&mut Payload, &mut Manifest)) -> Vec<u8> {
    let (mut payload, mut manifest) =
        (good.entries[2..].iter().cloned().collect(), good.manifest());
    change(&mut payload, &mut manifest);
    made(good, &payload, manifest)
}

/// Adds a module that differs from the first by `change`, and gives its id.
pub fn another(
    payload: &mut Payload,
    manifest: &mut Manifest,
    change: impl FnOnce(&mut BTreeMap<String, Tensor>),
) -> String {
    let first = manifest.modules[0].clone();
    let bytes = with(&payload[&first.entry], change);
    let id = sha256_hex(&bytes);
    let entry = format!("modules/{id}.safetensors");
    payload.insert(entry.clone(), bytes);
    manifest.modules.push(Module { id: id.clone(), entry, ..first });
    id
}

/// A tensor file with a change.
pub fn with(bytes: &[u8], change: impl FnOnce(&mut BTreeMap<String, Tensor>)) -> Vec<u8> {
    let mut all = tensors::read(bytes, "changed").unwrap();
    change(&mut all);
    tensors::write(all.iter().map(|(name, tensor)| (name.as_str(), tensor)), &BTreeMap::new())
        .unwrap()
}
