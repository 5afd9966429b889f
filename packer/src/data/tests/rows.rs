//! Lists that are refused, by row.

use std::fs;

use super::*;
use crate::Error;

#[test]
fn a_patient_in_training_and_in_validation_is_refused() {
    let (error, text) = Place::new(&FOUR).listing(&GOOD.replace("p3,train", "p1,val")).refusal();
    assert!(matches!(error, Error::GroupStraddles { .. }), "{text}");
    assert!(text.contains("in training (") && text.contains("in validation ("), "{text}");
}

#[test]
fn all_rows_that_cannot_be_used_are_named_at_once() {
    let rows = "a/1.png,a,p1,train\na/9.png,a,p2,test\nb/1.png,,p3,train\n../x,b,p4,test\n\
                b/2.png,b,p5,no\n";
    let (error, text) = Place::new(&FOUR).listing(rows).refusal();
    assert!(matches!(&error, Error::Faults { faults } if faults.len() == 4), "{text}");
    for word in [
        "4 faults",
        "row 3",
        "a/9.png",
        "row 4",
        "label is empty",
        "row 5",
        "leaves",
        "row 6",
        "\"no\"",
    ] {
        assert!(text.contains(word), "{word}: {text}");
    }
    let many: String = (0..30).map(|i| format!("a/{i}.jpg,a,p{i},train\n")).collect();
    let text = Place::new(&FOUR).listing(&many).refusal().1;
    assert!(text.contains("30 faults") && text.contains("and 10 more"), "{text}");
}

#[test]
fn rows_that_cannot_be_read_are_named() {
    for (rows, word, row) in [
        ("a/1.png,a,p1,fold 1\n", "must be train, val or test", 2),
        ("a/1.png,a,p1,train\na/2.png,a\n", "2 fields where the header has 4", 3),
        ("a/1.png,,p1,train\n", "label is empty", 2),
        ("a/1.png,a,,train\n", "group is empty", 2),
        (",a,p1,train\n", "path is empty", 2),
        ("a/1.png,a\u{7}b,p1,train\n", "control character", 2),
    ] {
        let (error, text) = Place::new(&FOUR).listing(rows).refusal();
        assert!(text.contains(word) && text.contains("splits.csv"), "{text}");
        assert!(matches!(error, Error::SplitsRow { row: at, .. } if at == row), "{text}");
    }
    let long = format!("a/1.png,{},p1,train\n", "x".repeat(201));
    assert!(Place::new(&FOUR).listing(&long).refusal().1.contains("the limit is 200"));
    let place = Place::new(&FOUR);
    fs::write(
        place.root().join("splits.csv"),
        b"path,label,group,split\na/1.png,\xff\xfe,p,train\n",
    )
    .unwrap();
    assert!(place.refusal().1.contains("not UTF-8"));
}

#[test]
fn a_header_must_name_each_column_once() {
    for (header, word) in [
        ("path,label,split", "column group is missing"),
        ("path,label,group,split,path", "column path is there twice"),
        ("", "column path is missing"),
    ] {
        let place = Place::new(&FOUR);
        fs::write(place.root().join("splits.csv"), header).unwrap();
        let text = place.refusal().1;
        assert!(text.contains(word) && text.contains("row 1"), "{text}");
    }
}

#[test]
fn a_group_on_both_sides_is_refused_with_both_rows() {
    let (error, text) = Place::new(&FOUR).listing(&GOOD.replace("p4", "p1")).refusal();
    assert!(matches!(error, Error::GroupStraddles { .. }), "{text}");
    assert!(text.contains("p1") && text.contains("row 2") && text.contains("row 5"), "{text}");
}

#[test]
fn a_test_class_that_training_never_sees_is_refused() {
    let (error, text) =
        Place::new(&FOUR).listing(&GOOD.replace("b/2.png,b", "b/2.png,c")).refusal();
    assert!(
        matches!(error, Error::UnknownTestClass { .. })
            && text.contains("class c")
            && text.contains("row 5"),
        "{text}"
    );
}

#[test]
fn an_empty_split_and_a_single_class_are_refused() {
    let (error, text) = Place::new(&FOUR).listing(&GOOD.replace("test", "train")).refusal();
    assert!(matches!(error, Error::EmptySplit { split: "test", .. }), "{text}");
    let (error, text) = Place::new(&FOUR).listing("").refusal();
    assert!(matches!(error, Error::EmptySplit { split: "train", .. }), "{text}");
    let (error, text) = Place::new(&FOUR).listing(&GOOD.replace(",b,", ",a,")).refusal();
    assert!(matches!(error, Error::DataFolder { .. }) && text.contains("one class only"), "{text}");
}
