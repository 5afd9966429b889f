//! What a device remembers, and what it refuses for it.

use super::super::manifest::tests::{example, payload};
use super::super::tests::{class, key, trust};
use super::super::{assemble, verify, verify_newer};
use super::*;

/// Version `counter` of the example; `flavour` makes another bundle of the same version.
fn version(counter: u64, flavour: &str) -> Vec<u8> {
    let manifest = super::super::Manifest { counter, intended_use: flavour.into(), ..example() };
    assemble(&manifest, &payload(), &[key(1)]).unwrap()
}

fn at(text: &str) -> Trust {
    trust(1).at(Moment::try_from(text.to_owned()).unwrap()).unwrap()
}

#[test]
fn versions_only_go_up() {
    let take =
        |state: &State, bytes: Vec<u8>| verify_newer(bytes, &trust(1), state).map(|(_, next)| next);
    let none = State::default();
    let two = take(&none, version(2, "a")).unwrap();
    assert_eq!((none.newest(&example().name), two.newest(&example().name)), (None, Some(2)));
    assert_eq!(take(&two, version(2, "a")).unwrap(), two, "the same again");
    assert_eq!(class(take(&two, version(1, "a"))), Class::Rollback);
    assert_eq!(
        class(take(&two, version(2, "b"))),
        Class::Rollback,
        "another bundle under the same version"
    );
    assert_eq!(take(&two, version(7, "a")).unwrap().newest(&example().name), Some(7));
    assert_eq!(class(take(&two, version(3 + STEP, "a"))), Class::FastForward);
    assert!(take(&two, version(2 + STEP, "a")).is_ok());
    assert!(take(&none, version(20_261_231, "a")).is_ok(), "whoever counts by dates may");
}

/// What was refused leaves nothing behind: a stranger's version 9 does not keep version 3 away.
#[test]
fn refused_bundles_are_not_remembered() {
    let before =
        State::default().accept(&verify(version(2, "a"), &trust(1)).unwrap(), &trust(1)).unwrap();
    let mut manifest = example();
    manifest.counter = 9;
    let strangers = assemble(&manifest, &payload(), &[key(5)]).unwrap();
    assert_eq!(class(verify_newer(strangers, &trust(1), &before)), Class::WrongKey);
    assert!(verify_newer(version(3, "a"), &trust(1), &before).is_ok());
}

#[test]
fn the_clock_does_not_go_back_and_old_versions_stay_known() {
    let bundle = verify(version(2, "a"), &trust(1)).unwrap();
    let state = State::default().accept(&bundle, &at("2026-05-01T00:00:00Z")).unwrap();
    assert_eq!(class(state.accept(&bundle, &at("2026-04-30T23:59:59Z"))), Class::ClockBackwards);
    let years = at("2036-05-01T00:00:00Z");
    assert_eq!(class(verify_newer(version(1, "a"), &years, &state)), Class::Rollback);
    assert!(state.accept(&bundle, &trust(1)).is_ok(), "a device without a clock");
}

#[test]
fn a_state_comes_back_from_its_bytes_and_from_no_others() {
    let state = State::default()
        .accept(&verify(version(2, "a"), &trust(1)).unwrap(), &at("2026-05-01T00:00:00Z"))
        .unwrap();
    let bytes = state.to_bytes().unwrap();
    assert_eq!(State::from_bytes(&bytes).unwrap(), state);
    let text = String::from_utf8(bytes).unwrap();
    for bad in [
        text.replace("\"counter\":2", "\"counter\":-2"),
        text.replace("\"counter\":2", "\"counter\":9007199254740993"),
        text.replace("\"version\":1", "\"version\":2"),
        text.replace("medforge-state", "medforge-bundle"),
        text.replace("2026-05-01", "2026-13-01"),
        text.replace("\"id\":\"", "\"id\":\"0"),
        text.replace('{', "{ "),
        text[..text.len() - 1].to_owned(),
        String::new(),
    ] {
        assert_ne!(bad, text);
        assert_eq!(class(State::from_bytes(bad.as_bytes())), Class::RejectedStateCached, "{bad}");
    }
}
