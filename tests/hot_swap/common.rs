//! Bundles of a network small enough for tests, and what is asked of them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use ed25519_dalek::SigningKey;
use medforge_packer::base::Vit;
use medforge_packer::export::build_bundle;
use medforge_packer::lora::Module;
use medforge_runtime::Error;
use medforge_runtime::bundle::{self, Trust, VerifiedBundle};
use medforge_runtime::classify::{Cancel, Classification, Classifier, Selection, WeightedModule};
use medforge_runtime::image::RgbImage8;

use super::small;

/// Tests take turns: one of them looks at the memory of the process.
pub fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

pub fn key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

pub fn vit() -> Vit {
    small::base(tempfile::tempdir().unwrap().path())
}

pub fn packed(vit: &Vit, name: &str, modules: &[Module]) -> Vec<u8> {
    let options = small::options(name);
    build_bundle(vit, modules, &options, &[key()]).unwrap()
}

pub fn verified(bytes: Vec<u8>) -> VerifiedBundle {
    bundle::verify(bytes, &Trust::new(vec![key().verifying_key()], 1).unwrap()).unwrap()
}

/// Five modules of five tasks, of unequal ranks.
pub fn five(vit: &Vit) -> Vec<Module> {
    (0..5).map(|i| small::lora(vit, &format!("task{i}"), i * 11, i + 1, None)).collect()
}

pub fn picture(seed: u32) -> RgbImage8 {
    RgbImage8::new((0..16 * 16 * 3).map(|i: u32| (i * (37 + seed) % 251) as u8).collect(), 16, 16)
        .unwrap()
}

/// The ids of the modules by their tasks.
pub fn ids(bundle: &VerifiedBundle) -> Vec<String> {
    let mut modules: Vec<_> =
        bundle.manifest().modules.iter().map(|m| (m.task.clone(), m.id.clone())).collect();
    modules.sort();
    modules.into_iter().map(|(_, id)| id).collect()
}

pub fn part(module: &str, weight: f64) -> WeightedModule {
    WeightedModule { module: module.into(), weight }
}

pub fn with(classifier: &Classifier, selection: &Selection) -> Result<Classification, Error> {
    classifier.classify_with(picture(0).view(), Some("task0"), selection, &Cancel::default())
}

#[track_caller]
pub fn assert_close(ours: &[f32], theirs: &[f32]) {
    let worst = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(ours.len() == theirs.len() && worst < 1e-5, "{ours:?} and {theirs:?}");
}
