//! Attacks on the JSON of manifests; what they may say is in `contradictions`.

use std::collections::BTreeMap;

use super::*;
use crate::bundle::measured::{Estimate, Measured, tests::example as measured};
use crate::preprocess::Resize;

mod contradictions;
mod example;

use example::{calibration, code, cost, extra, member, routing};
pub(crate) use example::{example, payload};

fn text() -> String {
    String::from_utf8(example().to_canonical().unwrap()).unwrap()
}

#[track_caller]
fn assert_refused(json: &str, words: &str) {
    let error = Manifest::from_canonical(json.as_bytes()).unwrap_err();
    assert!(error.is_refusal() && error.to_string().contains(words), "{error}");
}

#[test]
fn what_is_written_is_read() {
    assert_eq!(Manifest::from_canonical(text().as_bytes()).unwrap(), example());
    assert!(text().starts_with(r#"{"base":{"digest":""#), "keys are sorted: {}", text());
    assert!(
        text().contains(r#""rescale":0.00392156862745098,"#),
        "numbers as ECMAScript writes them: {}",
        text()
    );
    assert!(text().contains("breast é"), "text stands as itself: {}", text());
}

#[test]
fn absent_fields_are_left_out() {
    let mut manifest = example();
    manifest.predecessor = None;
    (manifest.base.heads, manifest.base.licence) = (None, None);
    let bytes = manifest.to_canonical().unwrap();
    assert!(!String::from_utf8_lossy(&bytes).contains("null"));
    assert_eq!(Manifest::from_canonical(&bytes).unwrap(), manifest);
}

#[test]
fn attack_other_spellings_of_the_same() {
    for (from, to) in [
        ("{\"base\"", "{ \"base\""),
        ("\"counter\":3", "\"counter\":3 "),
        ("\"weight\":0.1", "\"weight\":0.10"),
        ("\"weight\":0.1", "\"weight\":1e-1"),
        ("\"high\":1,", "\"high\":1.0,"),
        ("\"name\":\"packer\"", "\"name\":\"pack\\u0065r\""),
        ("breast é", "breast \\u00e9"),
        ("Research only.\\n", "Research only.\\u000a"),
        ("\"format\":\"medforge-bundle\",", ""),
        (
            "\"tool\":{\"name\":\"packer\",\"version\":\"0.1.0\"}",
            "\"tool\":{\"version\":\"0.1.0\",\"name\":\"packer\"}",
        ),
        ("\"predecessor\":", "\"predecessor\":null,\"predecessor\":"),
    ] {
        assert!(text().contains(from), "{from}");
        let error = Manifest::from_canonical(text().replacen(from, to, 1).as_bytes()).unwrap_err();
        assert!(error.is_refusal(), "{to}: {error}");
    }
    assert_refused(&format!("{}\n", text()), "canonical");
    assert_refused(&text().replacen("\"counter\":3", "\"counter\":3 ", 1), "byte ");
}

#[test]
fn attack_unknown_and_duplicate_keys() {
    assert_refused(
        &text().replacen("\"counter\":3", "\"counter\":3,\"counter\":4", 1),
        "dup_json_key",
    );
    assert_refused(
        &text().replacen("\"counter\":3", "\"counter\":3,\"cpunter\":4", 1),
        "unknown field",
    );
    assert_refused(
        &text().replacen("\"layers\":12", "\"layer\":1,\"layers\":12", 1),
        "unknown field",
    );
    assert_refused(
        &text().replacen(
            "\"breast\":{\"high\"",
            "\"breast\":{\"high\":1,\"low\":0,\"n\":1,\"name\":\"x\",\"value\":1},\
             \"breast\":{\"high\"",
            1,
        ),
        "dup_json_key",
    );
    assert_refused(&text().replacen("\"fusion\"", "\"fission\"", 1), "unknown variant");
}

#[test]
fn attack_json_that_is_none() {
    for json in ["", "{", "[]", "null", "\u{feff}{}", "{\"format\":1}"] {
        assert_refused(json, "manifest.json");
    }
    assert_refused(&"[".repeat(1 << 20), "manifest.json");
    assert_refused(&text().replacen("\"counter\":3", "\"counter\":1e400", 1), "manifest.json");
    assert!(Manifest::from_canonical(b"\xff").unwrap_err().is_refusal());
}

#[test]
fn other_versions_are_named() {
    assert_refused(
        &text().replacen("\"version\":1}", "\"version\":2}", 1),
        "version 2, and this program reads",
    );
    assert_refused(&text().replacen("medforge-bundle", "medforge-bundlf", 1), "medforge-bundlf");
}

/// Persian needs joiners, Hebrew marks of a direction, and licences part their pages.
#[test]
fn prose_may_have_what_scripts_need() {
    let intended_use =
        "\u{feff}می\u{200c}خواهم\r\n\tעברית\u{200f}!\u{c}Mam\u{ad}mo \u{2764}\u{fe0f}".into();
    Manifest { intended_use, ..example() }.to_canonical().unwrap();
}

/// Classes of bundles in the field differ only in case. Older packers widened no interval, and sums
/// in another order may make a difference a little more than one.
#[test]
fn what_earlier_packers_wrote_is_read() {
    let mut manifest = example();
    manifest.heads[0].classes = vec!["T".into(), "t".into()];
    manifest.metrics.get_mut("breast").unwrap().value = 0.7;
    let share = Int8Cost {
        name: "accuracy".into(),
        f32: 0.0,
        int8: 1.0,
        low: 1.0,
        high: 1.0 + 1e-12,
        ..cost()
    };
    manifest.int8 = BTreeMap::from([("breast".into(), share)]);
    assert_eq!(Manifest::from_canonical(&manifest.to_canonical().unwrap()).unwrap(), manifest);
}

/// Two members with one card, and all that an evaluation says.
#[test]
fn what_was_measured_and_who_took_part_is_read_as_written() {
    let mut manifest = example();
    manifest.measured = BTreeMap::from([("breast".into(), measured())]);
    let card = format!("cards/{}.md", "e".repeat(64));
    manifest.entries.insert(2, Entry { name: card.clone(), length: 1, sha256: "e".repeat(64) });
    let first = Member { card: Some(card), ..member() };
    manifest.members =
        vec![first.clone(), Member { contributor: "clinic".into(), measured: None, ..first }];
    let bytes = manifest.to_canonical().unwrap();
    assert_eq!(Manifest::from_canonical(&bytes).unwrap(), manifest);
    let text = String::from_utf8(bytes).unwrap();
    assert_refused(
        &text.replacen(r#""beaten":true"#, r#""beaten":true,"extra":1"#, 1),
        "unknown field",
    );
}
