//! Folders whose names say what is train and what is test, in all the ways that people have, and
//! those that say something unclear.

use std::fs;

use super::super::tests::Place;
use crate::data::{Dataset, Split};

/// Three images of each of the classes a and b in every folder of `parts`.
fn parts(parts: &[&str]) -> Place {
    let file = |part: &str, class: &str, i: usize| format!("{part}/{class}/{i}.png");
    let files: Vec<String> = parts
        .iter()
        .flat_map(|part| {
            ["a", "b"].into_iter().flat_map(move |class| (0..3).map(move |i| file(part, class, i)))
        })
        .collect();
    Place::new(&files.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn the_split_is_known_under_its_common_names_and_the_classes_are_inside() {
    for (train, test) in [
        ("train", "test"),
        ("Training", "Testing"),
        ("Train", "Test"),
        ("TRAIN", "TEST"),
        ("train_set", "test_set"),
        ("Training Set", "Test Set"),
        ("train-images", "test-images"),
        ("images/train", "images/test"),
        ("archive/data/Training", "archive/data/Testing"),
        ("train/train", "test/test"),
        ("train/images", "test/images"),
        ("tr", "te"),
        ("imagesTr", "imagesTs"),
        ("dev/train", "dev/holdout"),
    ] {
        if train.starts_with("dev") {
            // A part that holds parts is none of these.
            assert!(parts(&[train, test]).refusal().1.contains("dev"), "{train}");
            continue;
        }
        let data = Dataset::open(parts(&[train, test]).root()).unwrap();
        assert_eq!(data.classes, ["a", "b"], "{train}");
        for item in &data.items {
            let expected = if item.path.starts_with(train) { Split::Train } else { Split::Test };
            assert_eq!(item.split, expected, "{}", item.path.display());
        }
        assert_eq!((data.items.len(), data.stated_parts().unwrap().1.len()), (12, 0));
    }
}

#[test]
fn a_validation_folder_is_the_validation_part() {
    for name in ["val", "Valid", "validation", "dev"] {
        let data = Dataset::open(parts(&["train", name, "test"]).root()).unwrap();
        let (training, validation) = data.stated_parts().unwrap();
        assert_eq!((data.classes.len(), training.len(), validation.len()), (2, 6, 6), "{name}");
        assert!(validation.iter().all(|&i| data.items[i].path.starts_with(name)));
        assert_eq!(data.indices(Split::Test).len(), 6);
    }
    // Where nothing is called test, it is what training never saw.
    let data = Dataset::open(parts(&["train", "val"]).root()).unwrap();
    assert_eq!((data.indices(Split::Test).len(), data.stated_parts().unwrap().1.len()), (6, 0));
}

#[test]
fn names_that_only_sound_like_a_part_are_classes() {
    for names in [
        ["testis", "ovary"],
        ["test positive", "test negative"],
        ["tr", "mr"],
        ["benign", "strain"],
    ] {
        let data = Dataset::open(
            Place::new(
                &names
                    .map(|n| [1, 2].map(|i| format!("{n}/{i}.png")))
                    .concat()
                    .iter()
                    .map(String::as_str)
                    .collect::<Vec<_>>(),
            )
            .root(),
        )
        .unwrap();
        assert_eq!(data.classes.len(), 2, "{names:?}");
        assert!(names.iter().all(|name| data.classes.iter().any(|class| class == name)));
    }
    // Magnifications, patients or sides may have the same names in every class.
    let data = Dataset::open(parts(&["benign", "malignant"]).root()).unwrap();
    assert_eq!(data.classes, ["benign", "malignant"]);
}

#[test]
fn folders_that_look_like_parts_and_are_not_usable_as_such_are_refused() {
    let flat = |names: &[&str]| {
        let files: Vec<String> =
            names.iter().flat_map(|n| [1, 2].map(|i| format!("{n}/{i}.png"))).collect();
        Place::new(&files.iter().map(String::as_str).collect::<Vec<_>>())
    };
    for (place, words) in [
        (flat(&["train", "benign"]), "train looks like a part of a split and benign does not"),
        (flat(&["valid", "invalid"]), "valid looks like a part of a split and invalid does not"),
        (flat(&["Training", "Testing"]), "it holds images and no folder for each class"),
        (flat(&["tr", "te"]), "it holds images and no folder for each class"),
        (
            flat(&["train/a", "train/b", "test"]),
            "this is the test part, but it holds images and no folder",
        ),
        (
            flat(&["train/a", "train/b", "test/a"]),
            "class b is in the training part and not in the test part",
        ),
        (flat(&["train/a", "train/b", "test/a", "test/B"]), "class"),
        (
            flat(&["train/a", "train/b", "test/a", "test/b", "train"]),
            "lie beside the class folders",
        ),
        (parts(&["train", "Training Set", "test"]), "are both called training"),
        (parts(&["test", "val"]), "none named train"),
        (parts(&["a/train", "a/test", "b/train", "b/test"]), "part of a split inside of a class"),
        (parts(&["train/train", "train/test"]), "train"),
        (
            flat(&["train_benign", "train_malignant", "test_benign", "test_malignant"]),
            "look like parts of a split",
        ),
        (
            parts(&["NCT-CRC-HE-100K", "CRC-VAL-HE-7K"]),
            "CRC-VAL-HE-7K looks like a part of a split",
        ),
        (parts(&["data"]), "if the classes are the folders in"),
    ] {
        let text = place.refusal().1;
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn what_holds_no_image_beside_the_parts_is_no_class() {
    let place = parts(&["Train", "Test"]);
    for file in ["labels/list.txt", "__MACOSX/Train/a/1.png", "val/empty/notes.txt"] {
        fs::create_dir_all(place.root().join(file).parent().unwrap()).unwrap();
        fs::write(place.root().join(file), b"x").unwrap();
    }
    let data = Dataset::open(place.root()).unwrap();
    assert_eq!((data.classes.len(), data.items.len()), (2, 12));
}
