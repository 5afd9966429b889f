//! Folders of DICOM files: patients as groups, headers as attributes, pixels as a viewer shows
//! them, and what is refused.

use std::fs;
use std::path::Path;

use crate::data::Dataset;

mod files;
mod patients;
mod pixels;

use files::{SAID, Said, image};

/// A folder of DICOM files with a list.
struct Place(tempfile::TempDir);

impl Place {
    fn new(list: &str, rows: &str) -> Self {
        let place = Place(tempfile::tempdir().unwrap());
        fs::write(place.root().join(list), rows).unwrap();
        place
    }

    fn root(&self) -> &Path {
        self.0.path()
    }

    fn with(self, name: &str, bytes: &[u8]) -> Self {
        fs::write(self.root().join(name), bytes).unwrap();
        self
    }

    fn refusal(&self) -> String {
        Dataset::open(self.root()).unwrap_err().to_string()
    }
}

/// `count` patients of two images each, half of them of class a, and their labels.csv.
fn patients(count: usize) -> Place {
    let mut rows = String::from("path,label\n");
    let mut place = Place::new("labels.csv", "");
    for i in 0..2 * count {
        let (uid, patient) = (format!("1.2.{i}"), format!("P{:03}", i / 2));
        let (sex, age) = (["F", "M", ""][i / 2 % 3], ["034Y", "007M", "090Y", "old"][i / 2 % 4]);
        place = place.with(
            &format!("{i}.dcm"),
            &image(&Said { uid: &uid, patient: &patient, sex, age, ..SAID }),
        );
        rows += &format!("{i}.dcm,{}\n", if i % 4 < 2 { "a" } else { "b" });
    }
    place.with("labels.csv", rows.as_bytes())
}

#[test]
fn headers_are_attributes_unless_a_column_has_the_name() {
    let data = Dataset::open(patients(8).root()).unwrap();
    let values = |name: &str| -> Vec<&str> {
        let attribute = data.attributes.iter().find(|attribute| attribute.name == name).unwrap();
        attribute.values.iter().step_by(2).map(|value| &**value).collect()
    };
    assert_eq!(values("PatientSex"), ["F", "M", "", "F", "M", "", "F", "M"]);
    assert_eq!(
        values("PatientAge"),
        ["18-39", "0-17", "65+", "old", "18-39", "0-17", "65+", "old"]
    );
    assert_eq!((values("Manufacturer")[7], values("InstitutionName")[7]), ("Acme", "North"));

    let rows = "path,label,group,split,PatientSex\n0.dcm,a,g0,train,x\n1.dcm,b,g1,train,y\n\
                2.dcm,a,g2,test,x\n3.dcm,b,g3,test,\n";
    for list in ["splits.csv", "labels.csv"] {
        let place = patients(2).with(list, rows.as_bytes());
        let data = Dataset::open(place.root()).unwrap();
        assert_eq!(data.items[1].group, "g1");
        let names: Vec<&str> =
            data.attributes.iter().map(|attribute| attribute.name.as_str()).collect();
        assert_eq!(names, ["PatientSex", "PatientAge", "Manufacturer", "InstitutionName"]);
        assert_eq!(
            data.attributes[0].values.iter().map(|v| &**v).collect::<Vec<_>>(),
            ["x", "y", "x", ""]
        );
    }
}

#[test]
fn files_that_cannot_be_images_of_a_list_are_refused_by_name() {
    let uid = |uid| image(&Said { uid, patient: "P9", ..SAID });
    let text = patients(4).with("5.dcm", &uid("1.2.3")).refusal();
    assert!(text.contains("1.2.3") && text.contains("row 5") && text.contains("row 7"), "{text}");
    let frames = image(&Said { uid: "1.9", frames: "3", ..SAID });
    let cut = &uid("1.9")[..200];
    for (bytes, word) in [
        (&b"no DICOM"[..], "no DICOM Part 10 file"),
        (b"", "no DICOM Part 10 file"),
        (cut, "ends within an element"),
        (&frames, "it holds 3 frames"),
    ] {
        let text = patients(4).with("5.dcm", bytes).refusal();
        assert!(text.contains("5.dcm") && text.contains(word), "{text}");
    }
}

#[cfg(unix)]
#[test]
fn links_to_files_elsewhere_are_refused() {
    let (place, elsewhere) = (patients(4), patients(4));
    fs::remove_file(place.root().join("5.dcm")).unwrap();
    std::os::unix::fs::symlink(elsewhere.root().join("5.dcm"), place.root().join("5.dcm")).unwrap();
    assert!(place.refusal().contains("leaves the data folder"));
}
