//! Patients as groups: whole ones are divided, and nobody is on both sides.

use std::collections::BTreeSet;
use std::fs;

use super::*;
use crate::data::open::Opened;
use crate::data::{Dataset, Split};

#[test]
fn a_patient_is_a_group_and_whole_patients_are_divided() {
    let (place, more) = (patients(60), patients(70));
    let (data, larger) =
        (Dataset::open(place.root()).unwrap(), Dataset::open(more.root()).unwrap());
    assert_eq!((data.items.len(), data.classes.join(" ").as_str()), (120, "a b"));
    let groups = |split| -> BTreeSet<&str> {
        data.items
            .iter()
            .filter(|item| item.split == split)
            .map(|item| item.group.as_str())
            .collect()
    };
    let (train, test) = (groups(Split::Train), groups(Split::Test));
    assert!(
        train.is_disjoint(&test)
            && train.len() + test.len() == 60
            && train.contains("P000") | test.contains("P000")
    );
    // 30 % of 60, four standard deviations of a binomial.
    assert!((4..=32).contains(&test.len()), "{}", test.len());
    for (item, same) in data.items.iter().zip(&larger.items) {
        assert_eq!(
            (&item.path, item.split),
            (&same.path, same.split),
            "patients that come later move none"
        );
    }
    assert_eq!(Dataset::open(place.root()).unwrap(), data);
}

#[test]
fn small_classes_have_patients_on_both_sides() {
    for count in [4, 5, 6] {
        let data = Dataset::open(patients(count).root()).unwrap();
        for split in [Split::Train, Split::Test] {
            assert!(data.class_counts(split).iter().all(|&images| images > 0), "{count}");
        }
    }
    let text = patients(3).refusal();
    assert!(
        text.contains("class b cannot be both in training and in test") && text.contains("1 group"),
        "{text}"
    );
}

#[test]
fn a_patient_in_two_splits_is_refused_with_both_rows() {
    let rows = "path,label,split\n0.dcm,a,train\n1.dcm,a,test\n2.dcm,b,train\n3.dcm,b,test\n";
    let text = patients(2).with("labels.csv", rows.as_bytes()).refusal();
    assert!(
        text.contains("P000")
            && text.contains("labels.csv, row 2")
            && text.contains("labels.csv, row 3"),
        "{text}"
    );
}

#[test]
fn an_image_of_nobody_is_refused() {
    let place = patients(4).with("5.dcm", &image(&Said { patient: "", uid: "1.9", ..SAID }));
    let text = place.refusal();
    assert!(
        text.contains("5.dcm: no PatientID is stated") && text.contains("labels.csv, row 7"),
        "{text}"
    );
    let place = Place::new("labels.csv", "path,label\nx.png,a\n").with("x.png", b"");
    assert!(place.refusal().contains("x.png: no PatientID is stated"));
    let place = patients(4).with("5.dcm", &image(&Said { patient: "a\x07b", uid: "1.9", ..SAID }));
    assert!(place.refusal().contains("control character"));
}

/// A folder for each class and no list: the same patients as with a labels.csv, on the same sides.
#[test]
fn class_folders_are_grouped_by_patient_without_a_list() {
    let listed = patients(12);
    let data = Dataset::open(listed.root()).unwrap();
    let place = patients(12);
    fs::remove_file(place.root().join("labels.csv")).unwrap();
    for item in &data.items {
        let folder = place.root().join(&data.classes[item.label]);
        fs::create_dir_all(&folder).unwrap();
        // Scanners often export files without an ending.
        let name = if item.label == 0 { item.path.clone() } else { item.path.with_extension("") };
        fs::rename(place.root().join(&item.path), folder.join(name)).unwrap();
    }
    let folders = Dataset::open(place.root()).unwrap();
    let sides = |data: &Dataset| -> BTreeSet<(String, Split)> {
        data.items.iter().map(|item| (item.group.clone(), item.split)).collect()
    };
    assert_eq!((sides(&folders), folders.items.len()), (sides(&data), 24));
    assert_eq!(folders.attributes.iter().map(|a| a.name.as_str()).next(), Some("PatientSex"));

    // A picture without a header is its own group; a header without a patient is nobody's.
    fs::write(place.root().join("a/x.png"), b"").unwrap();
    let mixed = Dataset::open(place.root()).unwrap();
    assert!(mixed.items.iter().any(|item| item.group == "a/x.png") && mixed.items.len() == 25);
    fs::write(place.root().join("b/none.dcm"), image(&Said { patient: "", uid: "1.9", ..SAID }))
        .unwrap();
    assert!(place.refusal().contains("none.dcm: no PatientID is stated"));
}

#[test]
fn a_patient_in_both_part_folders_is_refused() {
    let place = patients(4);
    fs::remove_file(place.root().join("labels.csv")).unwrap();
    for (i, to) in ["train/a", "test/a", "train/b", "test/b"].iter().enumerate() {
        fs::create_dir_all(place.root().join(to)).unwrap();
        fs::rename(place.root().join(format!("{i}.dcm")), place.root().join(to).join("x.dcm"))
            .unwrap();
    }
    let text = place.refusal();
    assert!(
        text.contains("P000") && text.contains("train/a/x.dcm") && text.contains("test/a/x.dcm"),
        "{text}"
    );
}

#[test]
fn a_patient_in_both_splits_is_told_of_only_where_the_groups_differ() {
    let rows = |groups: [&str; 4]| {
        let sides = ["train", "test", "train", "test"];
        let row = |i: usize| {
            format!("{i}.dcm,{},{},{}\n", if i < 2 { "a" } else { "b" }, groups[i], sides[i])
        };
        format!("path,label,group,split\n{}", (0..4).map(row).collect::<String>())
    };
    let notes = |groups| {
        let place = patients(2).with("splits.csv", rows(groups).as_bytes());
        let opened = Opened::at(place.root(), &Default::default()).unwrap();
        (opened.notes, opened.faults.len())
    };
    // 0 and 1 are of P000, 2 and 3 of P001.
    let (said, faults) = notes(["g0", "g1", "g2", "g3"]);
    assert!(
        said.len() == 1 && said[0].contains("P000") && said[0].contains("under other groups"),
        "{said:?}"
    );
    assert_eq!(faults, 0);
    assert_eq!(notes(["g0", "g0", "g2", "g2"]), (vec![], 2));
}
