//! Sets of bundles that change while others classify.

use std::collections::BTreeMap;

use medforge_packer::base::Vit;
use medforge_runtime::bundle::{self, Manifest, VerifiedBundle, frame};
use medforge_runtime::classify::{self, Cancel, Classifier, Cost, Row, Selection};
use medforge_runtime::tensors::{self, Tensor};
use medforge_runtime::{Class, Error};

use super::common::*;
use super::small;

#[test]
fn bundles_come_and_go_and_the_base_stays() {
    let _turn = turn();
    let vit = vit();
    let all = five(&vit);
    let first = verified(packed(&vit, "first", &all[..2]));
    let (first_id, first_modules) = (first.id().to_owned(), ids(&first));
    let classifier = Classifier::load(first).unwrap();
    let before = classifier.memory();
    let kept = classifier.active();
    let second = packed(&vit, "second", &all[1..4]);

    let error = classifier.add(verified(second)).unwrap_err().to_string();
    assert!(error.contains("nothing was changed") && error.contains("task1"), "{error}");
    let second = verified(packed(&vit, "second", &all[2..4]));
    let second_id = second.id().to_owned();
    classifier.add(second).unwrap();
    assert_eq!(
        classifier.active().tasks().collect::<Vec<_>>(),
        ["task0", "task1", "task2", "task3"]
    );
    assert_eq!(classifier.memory().base, before.base, "one base for both");
    assert!(classifier.memory().modules > before.modules);
    let found = classifier.classify(picture(0).view(), Some("task2")).unwrap();
    assert_eq!(&*found.bundle, second_id);
    assert_eq!(kept.tasks().count(), 2, "a set that was taken does not change");

    // A default that needs a module of the other bundle.
    classifier.set_default("task2", &Selection::module(&first_modules[0])).unwrap();
    let error = classifier.unload(&first_id).unwrap_err().to_string();
    assert!(error.contains("default of task task2 needs"), "{error}");
    classifier.set_default("task2", &Selection::Frozen).unwrap();
    classifier.unload(&first_id).unwrap();
    assert_eq!(classifier.active().tasks().collect::<Vec<_>>(), ["task2", "task3"]);
    assert!(matches!(
        classifier.classify(picture(0).view(), Some("task0")),
        Err(Error::UnknownTask { .. })
    ));
    let old = Row { task: Some("task0"), ..Row::default() };
    let picture = picture(0);
    assert!(
        kept.classify_rows(&[picture.view()], &[old], &Cancel::default()).is_ok(),
        "who still has the old set uses it"
    );

    for (id, words) in [(second_id.as_str(), "the only bundle"), ("nothing", "there is no bundle")]
    {
        let error = classifier.unload(id).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    let third = verified(packed(&vit, "third", &all[4..]));
    classifier.replace(third).unwrap();
    assert_eq!(classifier.active().tasks().collect::<Vec<_>>(), ["task4"]);
    assert_eq!(classifier.memory().base, before.base);
    drop(kept);
}

#[test]
fn modules_of_another_base_replace_and_are_not_added() {
    let _turn = turn();
    let vit = vit();
    let first = verified(packed(&vit, "first", &five(&vit)[..2]));
    let classifier = Classifier::load(first).unwrap();
    let other = small::base(tempfile::tempdir().unwrap().path());
    let tensors = other.tensors.into_iter().map(|(n, t)| (n, doubled(t.read()).into()));
    let other = Vit { tensors: tensors.collect(), ..other };
    let foreign = packed(&other, "foreign", &[small::lora(&other, "lung", 1, 2, None)]);
    let error = classifier.add(verified(foreign.clone())).unwrap_err().to_string();
    assert!(error.contains("the bundle is for base"), "{error}");
    classifier.replace(verified(foreign)).unwrap();
    assert_eq!(classifier.active().tasks().collect::<Vec<_>>(), ["lung"]);
}

fn doubled(tensor: Tensor) -> Tensor {
    Tensor { data: tensor.data.iter().map(|v| v * 0.5).collect(), ..tensor }
}

/// `bytes` with one payload entry changed, and signed again.
fn forged(bytes: &[u8], entry: &str, change: impl FnOnce(&mut Vec<u8>)) -> VerifiedBundle {
    let parsed = frame::parse(bytes).unwrap();
    let mut payload: BTreeMap<String, Vec<u8>> = parsed
        .iter()
        .skip(2)
        .map(|(name, range)| (name.clone(), bytes[range.clone()].to_vec()))
        .collect();
    change(payload.get_mut(entry).unwrap());
    let manifest: Manifest = serde_json::from_slice(&bytes[parsed[0].1.clone()]).unwrap();
    let manifest = Manifest { entries: bundle::list(&payload), ..manifest };
    verified(bundle::assemble(&manifest, &payload, &[key()]).unwrap())
}

#[test]
fn what_cannot_be_added_changes_nothing() {
    let _turn = turn();
    let vit = vit();
    let all = five(&vit);
    let classifier = Classifier::load(verified(packed(&vit, "first", &all[..2]))).unwrap();
    let bytes = packed(&vit, "second", &all[2..4]);
    let head = "heads/task2.safetensors";
    type Change<'a> = &'a dyn Fn(&mut Vec<u8>);
    let hostile: [(&str, &str, Change); 5] = [
        ("golden.safetensors", "GoldenMismatch", &|bytes| {
            let mut all = tensors::read(bytes, "golden").unwrap();
            all.get_mut("probabilities.task2").unwrap().data[0] = 0.123;
            *bytes =
                tensors::write(all.iter().map(|(n, t)| (n.as_str(), t)), &BTreeMap::new()).unwrap();
        }),
        (head, "NanWeight", &|bytes| {
            let end = bytes.len() - 2;
            bytes[end..].copy_from_slice(&[0xff, 0xff]);
        }),
        (head, "StTrailing", &|bytes| bytes.push(0)),
        (head, "St", &|bytes| bytes.truncate(20)),
        ("base.onnx", "Onnx", &|bytes| bytes.truncate(100)),
    ];
    let (tasks, memory) =
        (|| classifier.active().tasks().map(String::from).collect::<Vec<_>>(), classifier.memory());
    let before = with(&classifier, &Selection::Default).unwrap();
    let known = tasks();
    for (entry, class, change) in hostile {
        let error = classifier.add(forged(&bytes, entry, change)).unwrap_err();
        assert!(
            error.is_refusal() && format!("{:?}", error.class()).contains(class),
            "{entry}: {error:?}"
        );
        assert_eq!((tasks(), classifier.memory()), (known.clone(), memory));
        assert_eq!(with(&classifier, &Selection::Default).unwrap(), before);
        assert!(classifier.replace(forged(&bytes, entry, change)).is_err());
        assert_eq!(with(&classifier, &Selection::Default).unwrap(), before);
    }
    classifier.add(verified(bytes)).unwrap();
}

/// With a limit that the first bundle just meets, a second one is above it until the first has
/// left.
#[test]
fn modules_of_all_bundles_are_counted_together() {
    let _turn = turn();
    let vit = vit();
    let all = five(&vit);
    let (one, two) = (packed(&vit, "first", &all[..2]), packed(&vit, "second", &all[2..4]));
    let within = |bytes| classify::Options {
        most: Cost { bytes, ..Cost::default() },
        ..classify::Options::default()
    };
    let fits = |bytes| Classifier::load_with(&verified(one.clone()), within(bytes)).is_ok();
    let (mut below, mut least) = (0, Cost::default().bytes);
    while least - below > 1 {
        let middle = below.midpoint(least);
        if fits(middle) { least = middle } else { below = middle }
    }
    let classifier = Classifier::load_with(&verified(one.clone()), within(least)).unwrap();
    let error = classifier.add(verified(two.clone())).unwrap_err();
    assert_eq!(error.class(), Some(Class::TooCostly), "{error}");
    assert_eq!(classifier.active().tasks().count(), 2);
    let roomy = Classifier::load_with(&verified(one), within(2 * least)).unwrap();
    roomy.add(verified(two)).unwrap();
    assert_eq!(roomy.active().tasks().count(), 4);
}
