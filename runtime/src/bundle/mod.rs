//! The bundle, format version 1: one canonical byte form, signed, verified before anything in it is used.
//!
//! [`verify()`] is the only way to a [`VerifiedBundle`], and the classifier takes nothing else. `docs/format.md` is the
//! format byte by byte, `docs/threats.md` says which attack meets which check and test.

pub mod frame;
pub mod manifest;
pub mod signature;
mod verify;

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use sha2::{Digest, Sha256};

pub use manifest::Manifest;
pub use verify::{Trust, UnverifiedBundle, VerifiedBundle, inspect, verify};

use crate::Error;

/// The manifest's entries for `payload`, sorted and with their digests: what [`assemble`] expects to find there.
pub fn list(payload: &BTreeMap<String, Vec<u8>>) -> Vec<manifest::Entry> {
    let entry = |(name, bytes): (&String, &Vec<u8>)| manifest::Entry {
        name: name.clone(),
        length: bytes.len() as u64,
        sha256: sha256_hex(bytes),
    };
    payload.iter().map(entry).collect()
}

/// The bundle of `manifest` and `payload`, signed by `keys`.
///
/// # Errors
/// Whatever [`verify()`] would refuse: a manifest that contradicts itself or the payload, sizes over the limits, no key.
pub fn assemble(
    manifest: &Manifest,
    payload: &BTreeMap<String, Vec<u8>>,
    keys: &[SigningKey],
) -> Result<Vec<u8>, Error> {
    let manifest_bytes = manifest.to_canonical()?;
    verify::check_entries(manifest, &payload.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect())?;
    let signatures = signature::sign(keys, &manifest_bytes)?;
    let mut entries = vec![(manifest::MANIFEST, manifest_bytes.as_slice()), (signature::SIGNATURES, &signatures)];
    entries.extend(payload.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())));
    frame::write(&entries)
}

/// SHA-256 as 64 lower-case hex digits: the form of every digest and id in a bundle.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests;
