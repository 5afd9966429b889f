//! Maps: the gradient and the runtime's rollout against computations of their own, and on images of
//! which one region alone carries the class.

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use medforge_runtime::bundle::{Trust, verify};
use medforge_runtime::classify::{Cancel, Classifier, Map, Selection};
use medforge_runtime::image::RgbImage8;

use super::*;
use crate::base::Family;
use crate::base::tests::small;
use crate::device::cpu::Cpu;
use crate::export::{self, build_bundle};
use crate::lora::tests::module;

mod gradient;
mod rollout;
mod window;

fn classifier(vit: &Vit, module: &Module) -> Classifier {
    let key = SigningKey::from_bytes(&[7; 32]);
    let options = export::Options {
        name: "test".into(),
        counter: 1,
        predecessor: None,
        intended_use: "tests".into(),
        least_probability: 0.0,
    };
    let bundle =
        build_bundle(vit, std::slice::from_ref(module), &options, std::slice::from_ref(&key))
            .unwrap();
    Classifier::load(verify(bundle, &Trust::new(vec![key.verifying_key()], 1).unwrap()).unwrap())
        .unwrap()
}

fn explained(classifier: &Classifier, image: &RgbImage8, selection: &Selection) -> Map {
    let cancel = Cancel::default();
    let (with, map) = classifier.explain(image.view(), None, selection, &cancel).unwrap();
    assert_eq!(
        with,
        classifier.classify_with(image.view(), None, selection, &cancel).unwrap(),
        "bit for bit"
    );
    map
}
