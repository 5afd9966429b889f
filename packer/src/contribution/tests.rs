//! Contributions: what is made reads back, and everything that must be refused is, also when it
//! comes properly signed.

use medforge_runtime::bundle::manifest::Entry;
use serde_json::{Value, json};

use super::*;
use crate::base::tests::small;
use crate::base::{Family, Vit};
use crate::data::condensed_tests::set;
use crate::lora::tests::module;
use crate::lora::{Factors, RecordedMetric};

pub fn key(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub fn trust(seed: u8) -> Trust {
    Trust::new(vec![key(seed).verifying_key()], 1).unwrap()
}

pub fn base() -> Vit {
    small(Family::Dinov2)
}

/// A module and a condensed set of `task` by `contributor`; the seed changes the weights.
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

fn made(parts: &Parts) -> Result<Contribution, Error> {
    build(parts, OPTIONS, &base().identity(), &key(1))
}

/// The contribution of `parts` with files and manifest changed by somebody who can sign.
fn forged(change: impl FnOnce(&mut Manifest, &mut BTreeMap<String, Vec<u8>>)) -> Vec<u8> {
    let good = made(&parts(&base(), "hospital a", "breast", 1)).unwrap();
    let names = good.manifest().entries.iter().map(|e| e.name.clone());
    let mut payload: BTreeMap<_, _> =
        names.map(|n| (n.clone(), good.entry(&n).unwrap().to_vec())).collect();
    let mut manifest = good.manifest().clone();
    change(&mut manifest, &mut payload);
    manifest.entries = bundle::list(&payload);
    bundle::assemble(&manifest, &payload, &[key(1)]).unwrap()
}

#[test]
fn what_is_made_reads_back() {
    let base = base();
    let parts = parts(&base, "hospital a", "breast", 1);
    let made = made(&parts).unwrap();
    let read = open(made.bytes().to_vec()).unwrap();
    let m = read.manifest();
    assert_eq!((m.name.as_str(), m.counter, m.real_start), ("hospital a/breast", 1, false));
    assert_eq!((m.images, m.groups, &m.metrics), (Some(7), Some(5), &parts.module.card.metrics));
    // In an archive the card says itself when the module was made.
    let mut whole = parts.module.clone();
    whole.card.created = whole.card.run.created.take();
    assert_eq!(read.module.files().unwrap(), whole.files().unwrap());
    assert_eq!(read.condensed.files().unwrap(), parts.condensed.clone().rounded().files().unwrap());
    assert_eq!(
        (read.entry("card.md").unwrap(), read.grams.is_none()),
        (parts.card.as_bytes(), true)
    );
    assert_eq!((read.id(), read.signers()), (made.id(), [key(1).verifying_key()].as_slice()));
}

/// `run.json` got lost, or the module came from elsewhere.
#[test]
fn a_module_of_which_no_time_is_known_can_be_contributed() {
    let base = base();
    let mut parts = parts(&base, "hospital a", "breast", 1);
    parts.module.card.run = Run::default();
    let read = open(made(&parts).unwrap().bytes().to_vec()).unwrap();
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
    assert_eq!(open(made(&parts).unwrap().bytes().to_vec()).unwrap().grams, Some(grams.clone()));
    let refusal = |change: &dyn Fn(&mut BTreeMap<String, Tensor>)| {
        let mut changed = grams.clone();
        change(&mut changed);
        let error = made(&Parts {
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

#[test]
fn parts_that_do_not_belong_together_are_refused() {
    type Change = fn(&mut Parts);
    let table: &[(&str, Change)] = &[
        ("task", |p| p.condensed.record.task = "lung".into()),
        ("classes", |p| p.condensed.record.classes.reverse()),
        ("base", |p| p.condensed.record.base_digest = "1".repeat(64)),
        ("preprocessing", |p| p.condensed.record.preprocessing.mean[0] += 0.1),
        ("adapts no site", |p| p.module.sites.clear()),
        ("is empty", |p| p.card = " \n".into()),
        ("control characters", |p| p.card = "\u{1b}[2J".into()),
        ("1 MiB", |p| p.card = "x".repeat(MAX_CARD + 1)),
        ("task", |p| p.module.card.task = "a/b".into()),
        ("contributor is empty", |p| p.module.card.contributor = " ".into()),
        ("bad_name", |p| {
            (p.module.card.task, p.condensed.record.task) = ("Breast".into(), "Breast".into())
        }),
        ("1 to 64", |p| {
            (p.module.card.task, p.condensed.record.task) = ("a".repeat(65), "a".repeat(65))
        }),
        ("beyond what f32 holds", |p| p.module.alpha = 1e42),
        ("no image is most probably", |p| p.condensed.labels = vec![1.0, 0.0, 0.75, 0.25]),
    ];
    let base = base();
    for (words, change) in table {
        let mut parts = parts(&base, "hospital a", "breast", 1);
        change(&mut parts);
        let said = made(&parts).unwrap_err().to_string();
        assert!(said.contains(words), "{words}: {said}");
    }
    let mut smaller = parts(&base, "hospital a", "breast", 1);
    let size = base.config.patch as u32;
    smaller.condensed.record.image_size = size;
    smaller.condensed.record.preprocessing = base.preprocessing_for(size).unwrap();
    smaller.condensed.images.truncate(2 * 3 * (size as usize).pow(2));
    assert!(made(&smaller).unwrap_err().to_string().contains("image size"));
}

#[test]
fn a_set_that_started_from_patients_needs_to_be_allowed_and_says_so() {
    let mut parts = parts(&base(), "hospital a", "breast", 1);
    parts.condensed.record.start = Start::Real;
    assert!(matches!(made(&parts), Err(Error::RealStart { .. })));
    let options = Options { allow_real_start: true, ..OPTIONS };
    let made = build(&parts, options, &base().identity(), &key(1)).unwrap();
    assert!(made.manifest().real_start && open(made.bytes().to_vec()).is_ok());
    // Signed, but in silence about it.
    let real = |manifest: &mut Manifest, payload: &mut BTreeMap<String, Vec<u8>>| {
        payload.insert("condensed.json".into(), made.entry("condensed.json").unwrap().to_vec());
        manifest.real_start = false;
    };
    assert!(open(forged(real)).unwrap_err().to_string().contains("real_start"));
}

#[test]
fn a_manifest_that_says_what_the_parts_do_not_is_refused() {
    type Change = fn(&mut Manifest);
    let table: &[(&str, Change)] = &[
        ("contributor", |m| (m.contributor, m.name) = ("b".into(), "b/breast".into())),
        ("task", |m| (m.task, m.name) = ("lung".into(), "hospital a/lung".into())),
        ("classes", |m| m.classes.reverse()),
        ("licence", |m| m.licence = "none".into()),
        ("base_digest", |m| m.base_digest = "0".repeat(64)),
        ("image_size", |m| m.image_size += 1),
        ("metrics", |m| m.metrics.clear()),
        ("images", |m| m.images = None),
        ("groups", |m| m.groups = Some(1000)),
        ("privacy", |m| m.privacy = Some(json!({"epsilon": 1}))),
        ("real_start", |m| m.real_start = true),
    ];
    for (field, change) in table {
        let error = open(forged(|manifest, _| change(manifest))).unwrap_err();
        assert!(
            matches!(&error, Error::Misdescribed { field: found, .. } if found == field),
            "{field}: {error}"
        );
    }
}

#[test]
fn an_estimate_beside_its_interval_is_not_contributed() {
    let mut parts = parts(&base(), "hospital a", "breast", 1);
    parts.module.card.metrics[0].value = 0.7;
    let error = made(&parts).unwrap_err();
    assert!(error.to_string().contains("beside its interval"), "{error}");
}

#[test]
fn contradictions_in_the_manifest_are_refused() {
    type Change = fn(&mut Manifest);
    let table: &[(&str, Change)] = &[
        ("version 2", |m| m.version = 2),
        ("name is", |m| m.name = "breast".into()),
        ("counter", |m| m.counter = 1 << 53),
        ("two", |m| m.classes.truncate(1)),
        ("licence", |m| m.licence = "\u{7}".into()),
        ("created", |m| m.created = "today".into()),
        ("SHA-256", |m| m.base_digest = "0".into()),
        ("interval is none", |m| m.metrics[0].low = f64::NAN),
        ("no share of one", |m| m.metrics[0].high = 1.5),
        ("look alike", |m| m.classes = vec!["a".into(), "a ".into()]),
        ("U+200D", |m| m.licence.push('\u{200d}')),
        ("privacy", |m| m.privacy = Some(json!([{"n": 1u64 << 53}]))),
        ("missing_entry", |m| m.entries.retain(|e| e.name != "card.md")),
        ("z.bin is none", |m| {
            m.entries.push(Entry { name: "z.bin".into(), ..m.entries[0].clone() })
        }),
        ("out of order", |m| m.entries.swap(0, 1)),
    ];
    let good = made(&parts(&base(), "hospital a", "breast", 1)).unwrap();
    for (words, change) in table {
        let mut manifest = good.manifest().clone();
        change(&mut manifest);
        let error = manifest.to_canonical().unwrap_err();
        assert!(error.is_refusal() && error.to_string().contains(words), "{words}: {error}");
    }
}

/// Numbers of the accounting may be written as 8 or 8.0.
#[test]
fn an_accounting_is_carried_as_it_is() {
    let mut parts = parts(&base(), "hospital a", "breast", 1);
    parts.condensed.record.privacy = Some(json!({"epsilon": 8.0, "counts": Value::Null}));
    (parts.condensed.record.real_images, parts.condensed.record.real_groups) = (None, None);
    let made = made(&parts).unwrap();
    let m = made.manifest();
    assert_eq!(
        (m.images, m.groups, m.privacy.as_ref().unwrap()["epsilon"].as_f64()),
        (None, None, Some(8.0))
    );
}

#[test]
fn what_is_signed_but_cannot_be_used_is_refused_by_entry() {
    let nan = |file: &'static str| {
        forged(move |_, payload| {
            let bytes = payload.get_mut(file).unwrap();
            let at = bytes.len() - 4;
            bytes[at..].copy_from_slice(&f32::NAN.to_le_bytes());
        })
    };
    for file in ["adapter_model.safetensors", "head.safetensors", "condensed.safetensors"] {
        let said = open(nan(file)).unwrap_err().to_string();
        assert!(said.contains(&format!("x.contribution/{file}")) && said.contains("NaN"), "{said}");
    }
    let said = open(forged(|_, p| drop(p.insert("module.json".into(), b"{}".to_vec()))))
        .unwrap_err()
        .to_string();
    assert!(said.contains("x.contribution/module.json"), "{said}");
    let said =
        open(forged(|_, p| drop(p.insert("card.md".into(), vec![0xff])))).unwrap_err().to_string();
    assert!(said.contains("x.contribution/card.md is not UTF-8"), "{said}");
}

#[test]
fn strangers_and_other_bases_are_refused() {
    let good = made(&parts(&base(), "hospital a", "breast", 1)).unwrap();
    let place = Path::new("x");
    let error = Contribution::open(place, good.bytes().to_vec(), &trust(2), &base().identity())
        .unwrap_err();
    assert!(matches!(error, Error::NotAContributor { .. }), "{error}");
    let mut other = base();
    other.tensors.get_mut("norm.bias").unwrap().data[0] += 1.0;
    let error =
        Contribution::open(place, good.bytes().to_vec(), &trust(1), &other.identity()).unwrap_err();
    assert!(matches!(error, Error::OtherBase { .. }), "{error}");
}

#[test]
fn every_flipped_bit_of_a_sample_and_every_cut_is_refused() {
    let good = made(&parts(&base(), "hospital a", "breast", 1)).unwrap();
    for at in (0..good.bytes().len()).step_by(101) {
        let mut bad = good.bytes().to_vec();
        bad[at] ^= 1 << (at % 8);
        assert!(matches!(open(bad), Err(Error::Contribution { .. })), "byte {at}");
        assert!(
            matches!(open(good.bytes()[..at].to_vec()), Err(Error::Contribution { .. })),
            "{at} bytes"
        );
    }
}
