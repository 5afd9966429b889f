//! Folders without a list.

use std::fs;

use super::*;
use crate::Error;

#[test]
fn a_tree_is_split_by_its_paths_alone() {
    let files: Vec<String> =
        (0..400).map(|i| format!("{}/{i}.JPG", if i % 2 == 0 { "x" } else { "y" })).collect();
    let names: Vec<&str> = files.iter().map(String::as_str).collect();
    let (one, two) = (Place::new(&names), Place::new(&names[..300]));
    fs::write(one.root().join("x/notes.txt"), b"").unwrap();
    fs::write(one.root().join(".hidden"), b"").unwrap();
    let (all, fewer) = (Dataset::open(one.root()).unwrap(), Dataset::open(two.root()).unwrap());
    assert_eq!(all.items.len(), 400);
    assert_eq!(all.group_count(Split::Train) + all.group_count(Split::Test), 400);
    let tested = all.indices(Split::Test).len();
    // 30 % of 400, five standard deviations of a binomial.
    assert!((75..=165).contains(&tested), "{tested}");
    for item in &fewer.items {
        let same = all.items.iter().find(|i| i.path == item.path).unwrap();
        assert_eq!(same.split, item.split, "files that were there keep their side");
    }
}

#[test]
fn small_classes_of_a_tree_are_on_both_sides() {
    let data = Dataset::open(Place::new(&FOUR).root()).unwrap();
    assert_eq!(data.class_counts(Split::Train), [1, 1]);
    assert_eq!(data.class_counts(Split::Test), [1, 1]);
}

#[test]
fn train_and_test_folders_are_taken_at_their_word() {
    let place = Place::new(&[
        "train/a/1.png",
        "train/b/1.png",
        "test/a/1.png",
        "test/b/2.png",
        "test/b/3.png",
    ]);
    let data = Dataset::open(place.root()).unwrap();
    assert_eq!(data.classes, ["a", "b"]);
    assert_eq!(data.class_counts(Split::Test), [1, 2]);
    fs::remove_dir_all(place.root().join("test")).unwrap();
    assert!(place.refusal().1.contains("none named test"));
}

#[test]
fn trees_without_images_are_refused() {
    let place = Place::new(&FOUR);
    fs::create_dir(place.root().join("empty")).unwrap();
    let (error, text) = place.refusal();
    assert!(matches!(error, Error::EmptyClass { .. }) && text.contains("class empty"), "{text}");
    assert!(
        Place::new(&["a/1.png", "b/1.png", "b/2.png"])
            .refusal()
            .1
            .contains("the only image of its class")
    );
    assert!(
        Place::new(&["x.png"])
            .refusal()
            .1
            .contains("neither a splits.csv, nor a labels.csv, nor a folder")
    );
    let place = Place::new(&[]);
    let text = Dataset::open(&place.root().join("nowhere")).unwrap_err().to_string();
    assert!(text.contains("no such folder"), "{text}");
}
