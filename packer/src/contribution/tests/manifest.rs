//! Manifests that contradict themselves or the parts.

use medforge_runtime::bundle::manifest::Entry;

use super::*;

#[test]
fn a_set_that_started_from_patients_needs_to_be_allowed_and_says_so() {
    let mut parts = parts(&base(), "hospital a", "breast", 1);
    parts.condensed.record.start = Start::Real;
    assert!(matches!(built(&parts), Err(Error::RealStart { .. })));
    let options = Options { allow_real_start: true, ..OPTIONS };
    let contribution = build(&parts, options, &base().identity(), &key(1)).unwrap();
    assert!(contribution.manifest().real_start && open(contribution.bytes().to_vec()).is_ok());
    // It is signed, but does not say so.
    let real = |manifest: &mut Manifest, payload: &mut BTreeMap<String, Vec<u8>>| {
        payload.insert(
            "condensed.json".into(),
            contribution.entry("condensed.json").unwrap().to_vec(),
        );
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
    let error = built(&parts).unwrap_err();
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
    let good = built(&parts(&base(), "hospital a", "breast", 1)).unwrap();
    for (words, change) in table {
        let mut manifest = good.manifest().clone();
        change(&mut manifest);
        let error = manifest.to_canonical().unwrap_err();
        assert!(error.is_refusal() && error.to_string().contains(words), "{words}: {error}");
    }
}

/// Numbers in the accounting may be written as 8 or 8.0.
#[test]
fn an_accounting_is_carried_as_it_is() {
    let mut parts = parts(&base(), "hospital a", "breast", 1);
    parts.condensed.record.privacy = Some(json!({"epsilon": 8.0, "counts": Value::Null}));
    (parts.condensed.record.real_images, parts.condensed.record.real_groups) = (None, None);
    let contribution = built(&parts).unwrap();
    let m = contribution.manifest();
    assert_eq!(
        (m.images, m.groups, m.privacy.as_ref().unwrap()["epsilon"].as_f64()),
        (None, None, Some(8.0))
    );
}
