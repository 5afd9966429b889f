//! Bundles as a whole: the runtime against packer's own forward pass, and every way in which parts
//! can fail to fit.

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePublicKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use medforge_runtime::bundle::{Manifest, Trust, VerifiedBundle, assemble, list, verify};
use medforge_runtime::classify::Classifier;
use medforge_runtime::image::RgbImage8;
use medforge_runtime::tensors::{self, Tensor};
use medforge_runtime::{Class, Error as RuntimeError};

use super::*;
use crate::base::tests::small;
use crate::base::{Family, Vit};
use crate::device::cpu::Cpu;
use crate::lora::Module;
use crate::lora::tests::module;

mod calibrated;
mod costly;
mod eight_bits;
mod forward;
mod graphs;
mod merged;
mod prepared;
mod refused;

/// Every linear layer of a block.
const ALL: &str = "q,k,v,o,fc1,fc2";

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn options() -> Options {
    Options {
        name: "test".into(),
        counter: 1,
        predecessor: None,
        intended_use: "tests".into(),
        least_probability: 0.0,
    }
}

fn verified(bytes: Vec<u8>) -> VerifiedBundle {
    let pem = key().verifying_key().to_public_key_pem(LineEnding::LF).unwrap();
    verify(bytes, &Trust::from_pem(&pem).unwrap()).unwrap()
}

fn load(bytes: Vec<u8>) -> Result<Classifier, RuntimeError> {
    Classifier::load(verified(bytes))
}

fn picture(width: u32, height: u32) -> RgbImage8 {
    let data = (0..width * height * 3).map(|i| (i * 37 % 251) as u8).collect();
    RgbImage8::new(data, width, height).unwrap()
}

/// The files of a bundle by name.
fn payload(bundle: &VerifiedBundle) -> BTreeMap<String, Vec<u8>> {
    let entries = bundle.manifest().entries.iter();
    entries.map(|e| (e.name.clone(), bundle.entry(&e.name).unwrap().to_vec())).collect()
}

/// Why a bundle is refused that is signed and whole, but whose payload or manifest `change` changed
/// before.
fn forged(change: impl FnOnce(&mut BTreeMap<String, Vec<u8>>, &mut Manifest)) -> RuntimeError {
    let vit = small(Family::Dinov2);
    let bundle =
        verified(build_bundle(&vit, &[module(&vit, "q,fc1", None)], &options(), &[key()]).unwrap());
    let mut manifest = bundle.manifest().clone();
    let mut payload = payload(&bundle);
    change(&mut payload, &mut manifest);
    let module =
        payload.iter().find(|(name, _)| name.starts_with("modules/")).map(|(name, bytes)| {
            let id = medforge_runtime::bundle::sha256_hex(bytes);
            (name.clone(), id)
        });
    if let Some((name, id)) = module {
        let bytes = payload.remove(&name).unwrap();
        manifest.modules[0].entry = format!("modules/{id}.safetensors");
        payload.insert(manifest.modules[0].entry.clone(), bytes);
        manifest.compositions[0].parts[0].module.clone_from(&id);
        manifest.modules[0].id = id;
    }
    manifest.entries = list(&payload);
    match load(assemble(&manifest, &payload, &[key()]).unwrap()) {
        Ok(_) => panic!("the forged bundle was loaded"),
        Err(error) => error,
    }
}

/// Changes the tensors in the file `bytes`.
fn change_tensors(bytes: &mut Vec<u8>, change: impl FnOnce(&mut BTreeMap<String, Tensor>)) {
    let mut all = tensors::read(bytes, "forged").unwrap();
    change(&mut all);
    *bytes =
        tensors::write(all.iter().map(|(name, tensor)| (name.as_str(), tensor)), &BTreeMap::new())
            .unwrap();
}
