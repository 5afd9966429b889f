//! Folders of DICOM files: patients as groups, headers as attributes, pixels as a viewer shows
//! them, and what is refused.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use medforge_runtime::preprocess::{CropOffset, Filter, Preprocessing, Resize, Size};

use super::*;
use crate::data::{Dataset, Images, Split};

/// An element: group, number, VR, value.
type Element<'a> = (u16, u16, &'a str, &'a [u8]);

/// A Part 10 file in explicit little-endian VRs.
fn file(elements: &[Element]) -> Vec<u8> {
    let syntax = [(2, 0x10, "UI", &b"1.2.840.10008.1.2.1\0"[..])];
    let write = |elements: &[Element]| -> Vec<u8> {
        let one = |&(group, number, vr, value): &Element| {
            let length = match vr {
                "OW" | "OB" => [&[0, 0][..], &(value.len() as u32).to_le_bytes()].concat(),
                _ => (value.len() as u16).to_le_bytes().to_vec(),
            };
            [&group.to_le_bytes(), &number.to_le_bytes(), vr.as_bytes(), &length, value].concat()
        };
        elements.iter().flat_map(one).collect()
    };
    let meta = write(&syntax);
    let length = write(&[(2, 0, "UL", &(meta.len() as u32).to_le_bytes())]);
    [&[0; 128][..], b"DICM", &length, &meta, &write(elements)].concat()
}

fn even(text: &str) -> Vec<u8> {
    if text.len() % 2 == 1 { format!("{text} ").into() } else { text.into() }
}

/// What a file says; an empty text leaves the element out.
#[derive(Clone, Copy)]
struct Said<'a> {
    uid: &'a str,
    patient: &'a str,
    sex: &'a str,
    age: &'a str,
    frames: &'a str,
    photometric: &'a str,
    /// Left out where empty.
    window: [&'a str; 2],
    /// 4 x 4 values of 16 bits, 12 of them stored.
    pixels: &'a [u8],
}

const SAID: Said = Said {
    uid: "1.2.1",
    patient: "P1",
    sex: "F",
    age: "034Y",
    frames: "",
    photometric: "MONOCHROME2",
    window: ["", ""],
    pixels: &[0; 32],
};

fn image(said: &Said) -> Vec<u8> {
    let texts = [
        (8, 0x18, "UI", said.uid),
        (8, 0x70, "LO", "Acme"),
        (8, 0x80, "LO", "North"),
        (0x10, 0x20, "LO", said.patient),
        (0x10, 0x40, "CS", said.sex),
        (0x10, 0x1010, "AS", said.age),
        (0x28, 4, "CS", said.photometric),
        (0x28, 8, "IS", said.frames),
        (0x28, 0x1050, "DS", said.window[0]),
        (0x28, 0x1051, "DS", said.window[1]),
    ];
    let values = texts.map(|(group, number, vr, text)| (group, number, vr, even(text)));
    let mut elements: Vec<Element> =
        values.iter().map(|(g, n, vr, value)| (*g, *n, *vr, &value[..])).collect();
    elements.retain(|(.., value)| !value.is_empty());
    let words = [(2, 1), (0x10, 4), (0x11, 4), (0x100, 16), (0x101, 12), (0x102, 11), (0x103, 0)];
    let words = words.map(|(number, value): (u16, u16)| (number, value.to_le_bytes()));
    elements.extend(words.iter().map(|(number, value)| (0x28, *number, "US", &value[..])));
    elements.push((0x7fe0, 0x10, "OW", said.pixels));
    elements.sort_by_key(|(group, number, ..)| (*group, *number));
    file(&elements)
}

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

fn preprocessing() -> Preprocessing {
    let size = Size { height: 4, width: 4 };
    let (mean, std) = ([0.0; 3], [1.0; 3]);
    Preprocessing {
        resize: Resize::Exact(size),
        filter: Filter::Bicubic,
        crop: None,
        crop_offset: CropOffset::Floor,
        rescale: 1.0 / 255.0,
        mean,
        std,
    }
}

#[test]
fn pixels_are_those_that_a_viewer_shows() {
    let values: Vec<u8> = (0..16_u16).flat_map(|i| (i * 100).to_le_bytes()).collect();
    let place = patients(4);
    let window = ["800", "800"];
    let shown = Said { pixels: &values, window, patient: "P000", uid: "1.7", ..SAID };
    let place = place.with("0.dcm", &image(&shown));
    let place =
        place.with("1.dcm", &image(&Said { photometric: "MONOCHROME1", uid: "1.8", ..shown }));
    let data = Dataset::open(place.root()).unwrap();
    let images = Images::load(&data, &[0, 1], &preprocessing()).unwrap();
    for i in 0..16 {
        // PS3.3, C.11.2.1.2.1, with centre and width 800.
        let level = (((f64::from(i) * 100.0 - 799.5) / 799.0 + 0.5) * 255.0)
            .clamp(0.0, 255.0)
            .round() as i32;
        let [plain, inverted] =
            [0, 1].map(|image| images.pixels(image)[3 * i as usize..][..3].to_vec());
        assert!(
            plain.iter().all(|&v| (i32::from(v) - level).abs() <= 1),
            "{i}: {plain:?} and not {level}"
        );
        assert!(
            inverted.iter().all(|&v| (255 - level - i32::from(v)).abs() <= 1),
            "{i}: {inverted:?}"
        );
    }
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
        // The ending may be missing, as in what a scanner exports.
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
        let looked = Dataset::look(place.root(), &Default::default()).unwrap();
        (looked.notes, looked.faults.len())
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

/// Opening reads no pixels: a file without them is found out when they are wanted.
#[test]
fn only_headers_are_read_when_a_folder_is_opened() {
    let place = patients(4);
    let whole = fs::read(place.root().join("3.dcm")).unwrap();
    let place = place.with("3.dcm", &whole[..whole.len() - 20]);
    let data = Dataset::open(place.root()).unwrap();
    let text = Images::load(&data, &[2, 3], &preprocessing()).err().unwrap().to_string();
    assert!(text.contains("3.dcm"), "{text}");
    // Sparse: nothing is stored.
    fs::OpenOptions::new()
        .write(true)
        .open(place.root().join("4.dcm"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    let data = Dataset::open(place.root()).unwrap();
    assert!(matches!(Images::load(&data, &[4], &preprocessing()), Err(Error::TooLarge { .. })));
}
