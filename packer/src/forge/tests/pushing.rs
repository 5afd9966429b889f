//! What may not be pushed, and what got into the store without a push.

use medforge_runtime::bundle;

use super::*;
use crate::base::Vit;
use crate::contribution::{Contribution, Manifest};
use crate::forge::objects::put;

#[test]
fn what_may_not_be_pushed_is_refused_by_name_and_changes_nothing() {
    let (dir, forge) = forge();
    push(&forge, 1, "breast", 5).unwrap();
    merge(&forge, &average(&forge));
    push(&forge, 2, "lung", 5).unwrap();
    let before = everything(dir.path());
    let path = Path::new("x.contribution");
    let refused = |bytes: Vec<u8>| {
        let error = forge.push(path, bytes).map(|(number, _)| number).unwrap_err();
        assert!(everything(dir.path()) == before, "{error} changed the forge");
        assert!(error.exit_code() == 3 && error.to_string().contains("x.contribution"), "{error}");
        match error {
            Error::Refused(error) => *error,
            error => error,
        }
    };
    let good = signed(3, "colon", 1, 1, 3);
    for at in [0, 40, good.len() / 2, good.len() - 1] {
        let mut corrupt = good.clone();
        corrupt[at] ^= 1;
        assert!(matches!(refused(corrupt), Error::Contribution { .. }), "byte {at}");
    }
    assert!(matches!(refused(b"nothing".to_vec()), Error::Contribution { .. }));
    assert!(matches!(refused(signed(3, "colon", 1, 1, 8)), Error::NotAContributor { .. }));
    assert!(matches!(refused(signed(3, "colon", 1, 1, 2)), Error::OthersKey { .. }));
    assert!(matches!(refused(signed(4, "colon", 1, 1, 3)), Error::UnknownContributor { .. }));
    // Both merged and waiting ones count.
    for hospital in [1, 2] {
        let task = ["breast", "lung"][usize::from(hospital) - 1];
        for counter in [1, 5] {
            let error = refused(signed(hospital, task, counter, 1, hospital));
            assert!(matches!(error, Error::Replayed { newest: 5, .. }), "{error}");
        }
        assert!(matches!(refused(signed(3, task, 9, 1, 3)), Error::TaskTaken { .. }));
    }
    let mut other = base();
    other.change("norm.bias", |data| data[0] += 1.0);
    let build = |parts: &Parts, base: &Vit| {
        contribution::build(parts, OPTIONS, &base.identity(), &key(3)).unwrap().bytes().to_vec()
    };
    let elsewhere = build(&parts(&other, "hospital 3", "colon", 1), &other);
    assert!(matches!(refused(elsewhere), Error::OtherBase { .. }));
    let mut larger = parts(&base(), "hospital 3", "colon", 1);
    let size = larger.module.card.image_size * 2;
    let preprocessing = base().preprocessing_for(size).unwrap();
    (larger.module.card.image_size, larger.condensed.record.image_size) = (size, size);
    (larger.module.card.preprocessing, larger.condensed.record.preprocessing) =
        (preprocessing.clone(), preprocessing);
    larger.condensed.images = vec![0.5; 2 * 3 * (size as usize).pow(2)];
    assert!(matches!(refused(build(&larger, &base())), Error::OtherImageSize { .. }));

    assert_eq!(forge.push(path, good).unwrap().0, 3);
    assert_eq!(push(&forge, 1, "breast", 6).unwrap(), 4);
}

/// Other bytes under an object's name are not taken for the object.
#[test]
fn an_object_that_was_changed_is_not_pushed_again() {
    let (dir, forge) = forge();
    let good = signed(1, "breast", 1, 1, 1);
    let contribution =
        Contribution::open(Path::new("x"), good.clone(), &forge.contributors, &forge.base).unwrap();
    let entry = &contribution.manifest().entries[0];
    std::fs::write(dir.path().join("objects").join(&entry.sha256), b"something else").unwrap();
    let error = forge.push(Path::new("x"), good).map(|(number, _)| number).unwrap_err();
    assert!(matches!(&error, Error::ForgeTooLong { .. } | Error::ForgeObject { .. }), "{error}");
    assert!(!dir.path().join("pushes").exists());
}

/// A merge checks a contribution's parts as a push does. Somebody who writes to the store can sign
/// what no push would take.
#[test]
fn what_came_past_push_is_not_merged_and_can_be_passed_over() {
    let (dir, forge) = forge();
    push(&forge, 1, "breast", 1).unwrap();
    merge(&forge, &average(&forge));
    let good = contribution::build(
        &parts(&base(), "hospital 2", "lung", 1),
        OPTIONS,
        &base().identity(),
        &key(2),
    );
    let good = good.unwrap();
    let names = good.manifest().entries.iter().map(|entry| entry.name.clone());
    let mut payload: BTreeMap<_, _> =
        names.map(|n| (n.clone(), good.entry(&n).unwrap().to_vec())).collect();
    payload.insert("card.md".into(), b"\x1b[2J".to_vec());
    let manifest = Manifest { entries: bundle::list(&payload), ..good.manifest().clone() };
    let archive = bundle::assemble(&manifest, &payload, &[key(2)]).unwrap();
    payload.into_values().for_each(|bytes| drop(put(&forge.store, bytes).unwrap()));
    std::fs::write(dir.path().join("pushes/000002.zip"), bundle::envelope(&archive).unwrap())
        .unwrap();
    push(&forge, 3, "colon", 1).unwrap();

    let before = everything(dir.path());
    let error = forge.merge(&average(&forge), &key(FORGE)).unwrap_err();
    assert!(
        matches!(&error, Error::NotMerged { push: 2, .. }) && error.exit_code() == 3,
        "{error}"
    );
    assert!(
        error.to_string().contains("control characters")
            && error.to_string().contains("pass over it"),
        "{error}"
    );
    for number in [0, 1, 3, 4] {
        assert!(
            matches!(forge.skip(number, &key(FORGE)), Err(Error::NotNext { merged: 1, .. })),
            "{number}"
        );
    }
    assert!(matches!(forge.skip(2, &key(1)), Err(Error::ForgeKey { .. })));
    assert!(everything(dir.path()) == before);

    assert_eq!(forge.skip(2, &key(FORGE)).unwrap().manifest().number, 2);
    assert_eq!(members(&forge, 2), ["hospital 1/breast"]);
    let contents = [1, 2].map(|n| forge.content(forge.item(n).unwrap().manifest()).unwrap());
    assert!(contents[0] == contents[1], "the model stays as it was");
    assert_eq!(merge(&forge, &average(&forge)), 3);
    assert_eq!(members(&forge, 3), ["hospital 1/breast", "hospital 3/colon"]);
    assert!(matches!(forge.revert(2, methods(&forge), &key(FORGE)), Err(Error::NotAMember { .. })));
    // Its task is free again, but its contributor's counter is not.
    assert!(matches!(push(&forge, 2, "lung", 1), Err(Error::Replayed { .. })));
    push(&forge, 1, "lung", 1).unwrap();
}

#[test]
fn the_first_push_can_be_passed_over() {
    let (_dir, forge) = forge();
    push(&forge, 1, "breast", 1).unwrap();
    push(&forge, 2, "lung", 1).unwrap();
    let first = forge.skip(1, &key(FORGE)).unwrap();
    assert_eq!((first.manifest().members, &first.manifest().predecessor), (0, &forge.id));
    assert_eq!(merge(&forge, &Chain(1)), 2);
    assert_eq!(members(&forge, 2), ["hospital 2/lung"]);
    let report = forge.verify(Some(methods(&forge))).unwrap();
    assert_eq!((report.items, report.rebuilt, report.waiting), (2, 2, 0));
}
