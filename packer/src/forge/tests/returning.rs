//! Contributions that leave and come back, and members that are merged again by another method.

use medforge_runtime::bundle;

use super::*;

/// The lines of the chain in an item's model, without the contributions' digests.
fn chain(forge: &Forge, number: u64) -> Vec<String> {
    let content = forge.content(forge.item(number).unwrap().manifest()).unwrap();
    let file = forge.stored_model(&content).unwrap().files.remove("chain").unwrap_or_default();
    let text = String::from_utf8(file).unwrap();
    text.lines().map(|line| line.rsplit_once(':').unwrap().0.to_owned()).collect()
}

#[test]
fn a_contributor_leaves_and_the_history_stays() {
    let (_dir, forge) = forge();
    for (hospital, task) in [(1, "breast"), (2, "lung"), (3, "colon")] {
        push(&forge, hospital, task, 1).unwrap();
        merge(&forge, &Chain(u64::from(hospital)));
    }
    let lines = |number: u64| chain(&forge, number);
    assert_eq!(lines(3), ["1:hospital 1/breast", "2:hospital 2/lung", "3:hospital 3/colon"]);
    assert_eq!(forge.revert(2, methods(&forge), &key(FORGE)).unwrap().manifest().number, 4);
    // The model was built again with the newest item's settings, without any model of hospital 2.
    assert_eq!(lines(4), ["3:hospital 1/breast", "3:hospital 3/colon"]);
    assert_eq!(lines(3).len(), 3, "the history is kept");
    assert!(matches!(forge.revert(2, methods(&forge), &key(FORGE)), Err(Error::NotAMember { .. })));
    assert!(matches!(forge.revert(4, methods(&forge), &key(FORGE)), Err(Error::NotAMember { .. })));
    assert!(matches!(
        forge.revert(9, methods(&forge), &key(FORGE)),
        Err(Error::NoItem { number: 9, newest: 4 })
    ));
    // It does not come back by itself. Its task is free, its counter is not.
    assert!(forge.merge(&Chain(1), &key(FORGE)).unwrap().is_none());
    assert!(matches!(push(&forge, 2, "lung", 1), Err(Error::Replayed { .. })));
    push(&forge, 1, "lung", 1).unwrap();
    merge(&forge, &Chain(7));
    assert_eq!(lines(5), ["3:hospital 1/breast", "3:hospital 3/colon", "7:hospital 1/lung"]);
    for number in [1, 3, 5] {
        forge.revert(number, methods(&forge), &key(FORGE)).unwrap();
    }
    assert_eq!((members(&forge, 8).len(), lines(8).len()), (0, 0));
    push(&forge, 3, "colon", 2).unwrap();
    merge(&forge, &Chain(8));
    assert_eq!(lines(9), ["8:hospital 3/colon"]);
    let report = forge.verify(Some(methods(&forge))).unwrap();
    assert_eq!((report.items, report.rebuilt), (9, 9));
}

/// A contribution that left comes back as it was signed, as the last member. A newer one in its
/// place keeps it out, and so does one that took its task.
#[test]
fn a_contribution_comes_back_without_a_new_signature() {
    let (dir, forge) = forge();
    for (hospital, task) in [(1, "breast"), (2, "lung")] {
        push(&forge, hospital, task, 1).unwrap();
        merge(&forge, &Chain(1));
    }
    let restore = |number| forge.restore(number, methods(&forge), &key(FORGE));
    assert!(matches!(restore(1), Err(Error::NotRestored { number: 1, .. })), "it is a member");
    forge.revert(1, methods(&forge), &key(FORGE)).unwrap();
    let back = restore(1).unwrap();
    assert_eq!((back.manifest().number, back.manifest().kind), (4, Kind::Restore));
    assert_eq!(members(&forge, 4), ["hospital 2/lung", "hospital 1/breast"]);
    let lines = |number: u64| chain(&forge, number);
    // The model continues from the one before, with its settings.
    assert_eq!(lines(4), ["1:hospital 2/lung", "1:hospital 1/breast"]);

    // A newer one is in its place. The item that took the newer one out names it.
    push(&forge, 1, "breast", 2).unwrap();
    merge(&forge, &Chain(1));
    assert!(matches!(restore(1), Err(Error::NotRestored { .. })));
    forge.revert(5, methods(&forge), &key(FORGE)).unwrap();
    let newer = restore(6).unwrap().manifest().added.clone().unwrap();
    assert_eq!(newer.push, 3);
    forge.revert(7, methods(&forge), &key(FORGE)).unwrap();
    assert_eq!(
        restore(1).unwrap().manifest().added.as_ref().unwrap().push,
        1,
        "the keeper may go back to the older"
    );
    forge.revert(1, methods(&forge), &key(FORGE)).unwrap();

    // Another contributor takes the task, first waiting and then as a member.
    push(&forge, 3, "breast", 1).unwrap();
    assert!(matches!(restore(1), Err(Error::TaskTaken { .. })));
    merge(&forge, &Chain(1));
    assert!(matches!(restore(1), Err(Error::TaskTaken { .. })));
    assert!(matches!(restore(99), Err(Error::NoItem { .. })));
    assert!(matches!(forge.restore(1, methods(&forge), &key(1)), Err(Error::ForgeKey { .. })));
    let report = forge.verify(Some(methods(&forge))).unwrap();
    assert_eq!((report.items, report.rebuilt), (11, 11));

    // The keeper signs a return that the rules do not allow.
    let last = dir.path().join("items/000012.zip");
    let tip = forge.tip().unwrap().unwrap();
    let content = forge.content(tip.manifest()).unwrap();
    let added = forge.item(1).unwrap().manifest().added.clone();
    let item = Item {
        number: 12,
        predecessor: tip.id().into(),
        kind: Kind::Restore,
        added,
        removed: None,
        ..tip.manifest().clone()
    };
    std::fs::write(&last, bundle::assemble(&item, &BTreeMap::new(), &[key(FORGE)]).unwrap())
        .unwrap();
    let said = forge.verify(None).unwrap_err().to_string();
    assert!(said.contains("brings back what may not be") && !content.members.is_empty(), "{said}");
}

/// The same members are merged by another method, from the first on, without any model before.
#[test]
fn members_are_merged_again_from_the_first_on() {
    let (_dir, forge) = forge();
    assert!(matches!(forge.merge_again(&Chain(2), &key(FORGE)), Err(Error::NoMembers)));
    for (hospital, task) in [(1, "breast"), (2, "lung")] {
        push(&forge, hospital, task, 1).unwrap();
        merge(&forge, &Chain(u64::from(hospital)));
    }
    push(&forge, 3, "colon", 1).unwrap();
    let again = forge.merge_again(&Chain(7), &key(FORGE)).unwrap();
    let item = again.manifest();
    assert_eq!((item.number, item.kind, item.push, item.members), (3, Kind::Again, 2, 2));
    let model = forge.stored_model(&forge.content(item).unwrap()).unwrap();
    let lines = String::from_utf8(model.files["chain"].clone()).unwrap();
    assert!(
        lines.lines().all(|line| line.starts_with("7:")) && lines.lines().count() == 2,
        "{lines}"
    );
    assert!(matches!(forge.revert(3, methods(&forge), &key(FORGE)), Err(Error::NotAMember { .. })));
    assert_eq!(merge(&forge, &Chain(7)), 4);
    let report = forge.verify(Some(methods(&forge))).unwrap();
    assert_eq!((report.items, report.rebuilt, report.waiting), (4, 4, 0));
    assert!(matches!(forge.merge_again(&Chain(2), &key(1)), Err(Error::ForgeKey { .. })));
}
