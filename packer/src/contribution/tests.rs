//! Contributions: a built one reads back, and bad ones are refused, even if they are properly
//! signed.

use serde_json::{Value, json};

use super::*;
use crate::base::tests::small;
use crate::base::{Family, Vit};
use crate::data::condensed_tests::set;
use crate::lora::tests::module;
use crate::lora::{Factors, RecordedMetric};

mod faults;
mod manifest;

pub fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub fn trust(seed: u8) -> Trust {
    Trust::new(vec![key(seed).verifying_key()], 1).unwrap()
}

pub fn base() -> Vit {
    small(Family::Dinov2)
}

/// A module and a condensed set of `task` by `contributor`. The seed changes the weights.
pub fn parts(base: &Vit, contributor: &str, task: &str, seed: usize) -> Parts {
    let mut module = module(base, "q,v", None);
    module.card.task = task.into();
    module.card.contributor = contributor.into();
    module.card.metrics = vec![RecordedMetric {
        name: "balanced_accuracy".into(),
        value: 0.9,
        low: 0.8,
        high: 1.0,
        n: 9,
    }];
    for factors in module.sites.values_mut() {
        factors
            .b
            .data
            .iter_mut()
            .enumerate()
            .for_each(|(i, v)| *v += ((i + seed) % 7) as f32 / 7.0);
    }
    let mut condensed = set();
    let record = &mut condensed.record;
    record.task = task.into();
    record.classes = module.card.classes.clone();
    record.base_digest = module.card.base_digest.clone();
    record.image_size = module.card.image_size;
    record.preprocessing = module.card.preprocessing.clone();
    let pixels = 3 * (record.image_size as usize).pow(2);
    condensed.images = (0..2 * pixels).map(|i| (i % 97) as f32 / 97.0).collect();
    Parts { module, condensed, card: "Images of phantoms.\n".into(), grams: None }
}

pub const OPTIONS: Options = Options { counter: 1, allow_real_start: false };

fn open(bytes: Vec<u8>) -> Result<Contribution, Error> {
    Contribution::open(Path::new("x.contribution"), bytes, &trust(1), &base().identity())
}

fn built(parts: &Parts) -> Result<Contribution, Error> {
    build(parts, OPTIONS, &base().identity(), &key(1))
}

/// A contribution whose files and manifest were changed by somebody who can sign.
fn forged(change: impl FnOnce(&mut Manifest, &mut BTreeMap<String, Vec<u8>>)) -> Vec<u8> {
    let good = built(&parts(&base(), "hospital a", "breast", 1)).unwrap();
    let names = good.manifest().entries.iter().map(|e| e.name.clone());
    let mut payload: BTreeMap<_, _> =
        names.map(|n| (n.clone(), good.entry(&n).unwrap().to_vec())).collect();
    let mut manifest = good.manifest().clone();
    change(&mut manifest, &mut payload);
    manifest.entries = bundle::list(&payload);
    bundle::assemble(&manifest, &payload, &[key(1)]).unwrap()
}

#[test]
fn what_is_built_reads_back() {
    let base = base();
    let parts = parts(&base, "hospital a", "breast", 1);
    let contribution = built(&parts).unwrap();
    let read = open(contribution.bytes().to_vec()).unwrap();
    let m = read.manifest();
    assert_eq!((m.name.as_str(), m.counter, m.real_start), ("hospital a/breast", 1, false));
    assert_eq!((m.images, m.groups, &m.metrics), (Some(7), Some(5), &parts.module.card.metrics));
    // In an archive the card itself holds the time.
    let mut whole = parts.module.clone();
    whole.card.created = whole.card.run.created.take();
    assert_eq!(read.module.files().unwrap(), whole.files().unwrap());
    assert_eq!(read.condensed.files().unwrap(), parts.condensed.clone().rounded().files().unwrap());
    assert_eq!(
        (read.entry("card.md").unwrap(), read.grams.is_none()),
        (parts.card.as_bytes(), true)
    );
    assert_eq!(
        (read.id(), read.signers()),
        (contribution.id(), [key(1).verifying_key()].as_slice())
    );
}

/// `run.json` was lost, or the module came from elsewhere.
#[test]
fn a_module_of_which_no_time_is_known_can_be_contributed() {
    let base = base();
    let mut parts = parts(&base, "hospital a", "breast", 1);
    parts.module.card.run = Run::default();
    let read = open(built(&parts).unwrap().bytes().to_vec()).unwrap();
    assert_eq!(read.module.card.created(), None);
}

#[test]
fn gram_matrices_travel_where_they_are_allowed() {
    let base = base();
    let mut parts = parts(&base, "hospital a", "breast", 1);
    let d = base.config.hidden;
    let gram = |_: (&String, &Factors)| Tensor::f32(vec![d, d], vec![0.5; d * d]);
    let grams: BTreeMap<_, _> =
        parts.module.sites.iter().map(|site| (site.0.clone(), gram(site))).collect();
    parts.grams = Some(grams.clone());
    assert_eq!(open(built(&parts).unwrap().bytes().to_vec()).unwrap().grams, Some(grams.clone()));
    let refusal = |change: &dyn Fn(&mut BTreeMap<String, Tensor>)| {
        let mut changed = grams.clone();
        change(&mut changed);
        let error = built(&Parts {
            grams: Some(changed),
            ..super::tests::parts(&base, "hospital a", "breast", 1)
        });
        error.unwrap_err().to_string()
    };
    assert!(
        refusal(&|g| drop(g.remove("blocks.0.attn.q"))).contains("no matrix for blocks.0.attn.q")
    );
    assert!(
        refusal(&|g| drop(g.insert("blocks.0.mlp.fc1".into(), grams["blocks.0.attn.q"].clone())))
            .contains("fc1")
    );
    let narrow = Tensor::f32(vec![1, d], vec![0.5; d]);
    assert!(
        refusal(&|g| drop(g.insert("blocks.0.attn.q".into(), narrow.clone()))).contains("[1, ")
    );
}
