//! Damage of every kind, and items that the rules or the members do not give.

use medforge_runtime::bundle;

use super::*;

/// Verification finds every changed byte and every lost file.
#[test]
fn damage_anywhere_is_found() {
    let (dir, forge) = forge();
    for (hospital, task) in [(1, "breast"), (2, "lung")] {
        push(&forge, hospital, task, 1).unwrap();
        merge(&forge, &average(&forge));
    }
    forge.revert(1, methods(&forge), &key(FORGE)).unwrap();
    let place = dir.path().to_str().unwrap();
    let verify = || {
        Forge::open(place, Some(&contribution::tests::trust(FORGE)))
            .and_then(|forge| forge.verify(None))
    };
    assert_eq!(verify().unwrap().unnamed, 0);
    let files = everything(dir.path());
    assert!(files.len() > 20, "{}", files.len());
    let last = ["items/000003.zip", "pushes/000002.zip"].map(|name| dir.path().join(name));
    for (path, good) in &files {
        for at in [0, good.len() / 2, good.len() - 1] {
            let mut bad = good.clone();
            bad[at] ^= 4;
            std::fs::write(path, bad).unwrap();
            assert!(verify().is_err(), "byte {at} of {} was changed", path.display());
        }
        std::fs::remove_file(path).unwrap();
        // Only the newest item can be lost unnoticed, since nothing comes after it.
        assert!(verify().is_err() || *path == last[0], "{} was lost", path.display());
        std::fs::write(path, good).unwrap();
    }
    let record = dir.path().join("items/000004.zip");
    std::fs::copy(&last[0], &record).unwrap();
    assert!(verify().is_err(), "an item twice");
    std::fs::rename(&record, dir.path().join("items/4.zip")).unwrap();
    assert!(verify().is_err(), "a name that the forge does not give");
    std::fs::remove_file(dir.path().join("items/4.zip")).unwrap();
    std::fs::copy(dir.path().join("pushes/000001.zip"), dir.path().join("pushes/000003.zip"))
        .unwrap();
    assert!(verify().unwrap_err().to_string().contains("after a newer one"));
    // A merge refuses it too.
    let error = forge.merge(&average(&forge), &key(FORGE)).unwrap_err();
    assert!(
        matches!(&error, Error::NotMerged { push: 3, source } if matches!(**source,
            Error::Replayed { .. })),
        "{error}"
    );
}

/// A record with a number far ahead is found before anything is read.
#[test]
fn numbers_have_no_gap() {
    let (dir, forge) = forge();
    push(&forge, 1, "breast", 1).unwrap();
    std::fs::write(dir.path().join("pushes/999999.zip"), b"").unwrap();
    let missing = |error: Error| {
        assert!(error.to_string().contains("pushes/000002.zip is missing"), "{error}")
    };
    missing(push(&forge, 2, "lung", 1).unwrap_err());
    missing(forge.merge(&average(&forge), &key(FORGE)).unwrap_err());
    missing(forge.verify(None).unwrap_err());
}

/// The keeper signs an item that the rules do not allow.
#[test]
fn items_that_the_rules_do_not_give_are_found() {
    let (dir, forge) = forge();
    push(&forge, 1, "breast", 1).unwrap();
    merge(&forge, &average(&forge));
    let record = dir.path().join("items/000001.zip");
    let good = std::fs::read(&record).unwrap();
    let item = forge.item(1).unwrap().manifest().clone();
    type Change = fn(&mut Item);
    let table: &[(&str, Change)] = &[
        ("does not name the item before", |item| item.predecessor = "0".repeat(64)),
        ("other members", |item| {
            (item.kind, item.removed, item.added) = (Kind::Skip, item.added.clone(), None)
        }),
        ("other members", |item| item.push = 2),
        ("is not there", |item| {
            (item.kind, item.removed, item.added) = (Kind::Revert, item.added.clone(), None)
        }),
        ("is not there", |item| item.kind = Kind::Restore),
        ("other members", |item| (item.kind, item.added) = (Kind::Again, None)),
    ];
    for (words, change) in table {
        let mut changed = item.clone();
        change(&mut changed);
        std::fs::write(
            &record,
            bundle::assemble(&changed, &BTreeMap::new(), &[key(FORGE)]).unwrap(),
        )
        .unwrap();
        let said = forge.verify(None).unwrap_err().to_string();
        assert!(said.contains(words), "{words}: {said}");
    }
    std::fs::write(&record, good).unwrap();
    assert!(forge.verify(None).is_ok());
}

/// If the record of a merged push is lost, its number is not given out again.
#[test]
fn a_lost_push_stops_pushes_and_merges() {
    let (dir, forge) = forge();
    push(&forge, 1, "breast", 1).unwrap();
    merge(&forge, &average(&forge));
    std::fs::remove_file(dir.path().join("pushes/000001.zip")).unwrap();
    assert!(matches!(push(&forge, 2, "lung", 1), Err(Error::ForgeHistory {
            what }) if what.contains("000001.zip is missing")));
    assert!(matches!(forge.merge(&average(&forge), &key(FORGE)), Err(Error::ForgeHistory { .. })));
}

/// The keeper of the forge's key signs a model that does not follow from the members.
#[test]
fn a_model_that_its_members_do_not_give_is_found_by_rebuilding() {
    struct Liar<'a>(Recipe<'a>);
    impl Merge for Liar<'_> {
        fn settings(&self) -> Value {
            self.0.settings()
        }
        fn sequential(&self) -> bool {
            false
        }
        fn merge(&self, _: Option<&ItemModel>, members: &dyn Members) -> Result<ItemModel, Error> {
            let mut model = self.0.merge(None, members)?;
            model.record = json!({"weights": {}});
            Ok(model)
        }
    }
    let (_dir, forge) = forge();
    push(&forge, 1, "breast", 1).unwrap();
    merge(&forge, &Liar(average(&forge)));
    assert!(forge.verify(None).is_ok());
    assert!(matches!(forge.verify(Some(methods(&forge))), Err(Error::NotRebuilt { number: 1 })));
}
