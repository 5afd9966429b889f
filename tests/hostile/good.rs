//! The good bundle that all cases are made from, of a small network of random weights.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ed25519_dalek::SigningKey;
use medforge_packer::export::{Options, build_bundle};
use medforge_runtime::bundle::{Manifest, assemble, frame, list};

use crate::case::Good;
use crate::{small, trust};

/// Writes `good.medforge` and `trust.toml`.
pub fn write(corpus: &Path) {
    let place = tempfile::tempdir().unwrap();
    let vit = small::base(place.path());
    let key = SigningKey::from_bytes(&[1; 32]);
    let options = Options { counter: 3, ..small::options("corpus") };
    let bytes =
        build_bundle(&vit, &[small::module(&vit)], &options, std::slice::from_ref(&key)).unwrap();
    // The list of crates is most of so small a bundle; a short one serves as well here.
    let entries = frame::parse(&bytes).unwrap();
    let mut payload: BTreeMap<String, Vec<u8>> = entries[2..]
        .iter()
        .map(|(name, range)| (name.clone(), bytes[range.clone()].to_vec()))
        .collect();
    payload.insert(
        "sbom.json".into(),
        br#"{"bomFormat":"CycloneDX","specVersion":"1.6","version":1}"#.to_vec(),
    );
    let mut manifest: Manifest = serde_json::from_slice(&bytes[entries[0].1.clone()]).unwrap();
    manifest.entries = list(&payload);
    fs::create_dir_all(corpus).unwrap();
    fs::write(corpus.join("good.medforge"), assemble(&manifest, &payload, &[key]).unwrap())
        .unwrap();
    fs::write(corpus.join("trust.toml"), trust::file(&Good::open(), 1, 1, "")).unwrap();
}
