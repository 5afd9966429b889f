//! One test for each refusal, and for what opens.

use std::fs;
use std::path::Path;

use medforge_runtime::preprocess::{CropOffset, Filter, Preprocessing, Resize, Size};

use super::*;
use crate::Error;
use crate::eval::Division;

/// A folder with empty files (nothing decodes them here) and a splits.csv.
pub(super) struct Place(tempfile::TempDir);

impl Place {
    pub(super) fn new(files: &[&str]) -> Self {
        let place = Place(tempfile::tempdir().unwrap());
        for file in files {
            let path = place.root().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"").unwrap();
        }
        place
    }

    pub(super) fn root(&self) -> &Path {
        self.0.path()
    }

    fn listing(self, rows: &str) -> Self {
        fs::write(self.root().join("splits.csv"), format!("path,label,group,split\n{rows}"))
            .unwrap();
        self
    }

    pub(super) fn refusal(&self) -> (Error, String) {
        let error = Dataset::open(self.root()).unwrap_err();
        let text = error.to_string();
        (error, text)
    }
}

const FOUR: [&str; 4] = ["a/1.png", "a/2.png", "b/1.png", "b/2.png"];
const GOOD: &str = "a/1.png,a,p1,train\na/2.png,a,p2,test\nb/1.png,b,p3,train\nb/2.png,b,p4,test\n";

#[test]
fn columns_may_stand_in_any_order_among_others() {
    let place = Place::new(&FOUR);
    let rows = "\u{feff}split,age,path,group,label\r\ntrain,3,a/1.png,p1,x\r\n\
                test,4,./a/2.png,p2,x\r\n\
                train,5,b/1.png,p3,\"y, z\"\r\ntest,6,b/2.png,p4,\"y, z\"\r\n";
    fs::write(place.root().join("splits.csv"), rows).unwrap();
    let data = Dataset::open(place.root()).unwrap();
    assert_eq!(data.classes, ["x", "y, z"]);
    let item = &data.items[1];
    assert_eq!((item.path.to_str(), item.label, item.group.as_str()), (Some("a/2.png"), 0, "p2"));
    assert_eq!(data.indices(Split::Train), [0, 2]);
    assert_eq!(data.class_counts(Split::Test), [1, 1]);
    assert_eq!(data.group_count(Split::Test), 2);
}

#[test]
fn further_columns_are_attributes_within_limits() {
    let rows = |header: &str, value: &str| {
        let mut text = format!("path,label,group,split,{header}\n");
        GOOD.lines().for_each(|row| text += &format!("{row},{value}\n"));
        let place = Place::new(&FOUR);
        fs::write(place.root().join("splits.csv"), text).unwrap();
        place
    };
    let columns = |count: usize| (0..count).map(|i| format!("c{i}")).collect::<Vec<_>>().join(",");
    let data = Dataset::open(rows(&columns(32), &vec!["v"; 32].join(",")).root()).unwrap();
    assert_eq!((data.attributes.len(), data.attributes[31].name.as_str()), (32, "c31"));
    // What has no name, as the index that other programs write, is no attribute; nothing stated is
    // a value.
    let data = Dataset::open(rows(",site", "7,").root()).unwrap();
    assert_eq!(
        data.attributes.iter().map(|a| (a.name.as_str(), &*a.values[3])).collect::<Vec<_>>(),
        [("site", "")]
    );
    // What cannot be used is refused where it is asked for, and nowhere else.
    for (header, value, by, word) in [
        (columns(33), vec!["v"; 33].join(","), "c32", "only the first 32 columns"),
        ("site,site".into(), "a,b".into(), "site", "column site is there twice"),
        (
            "note,site".into(),
            format!("{},b", "ä".repeat(33)),
            "note",
            "row 2: note is 66 bytes long; the limit is 64",
        ),
        ("note,site".into(), "a\u{1b}[2J,b".into(), "note", "control character"),
        ("note,site".into(), "Bonn\u{200b},b".into(), "note", "nobody sees"),
        ("note,site".into(), "\u{202e}Bonn,b".into(), "note", "nobody sees"),
    ] {
        let data = Dataset::open(rows(&header, &value).root()).unwrap();
        let fault = |name: &str| {
            data.attributes.iter().find(|a| a.name == name).and_then(|a| a.fault.clone())
        };
        assert!(fault(by).is_some_and(|fault| fault.contains(word)), "{:?}", fault(by));
        let text = Division::new(&data, &[0], by).err().unwrap().to_string();
        assert!(text.contains("--by") && text.contains(word), "{text}");
        if header.starts_with("note") {
            assert_eq!(&*data.attributes[1].values[0], "b");
        }
    }
    for header in ["s\u{7}".to_owned(), "x".repeat(65)] {
        assert!(Dataset::open(rows(&header, "a").root()).unwrap().attributes.is_empty());
    }
}

#[test]
fn ages_of_a_list_are_told_in_bands() {
    let mut text = String::from("path,label,group,split,Age,age_group\n");
    GOOD.lines()
        .zip(["34", "71,5", "unknown", "034Y"])
        .for_each(|(row, age)| text += &format!("{row},\"{age}\",3\n"));
    let place = Place::new(&FOUR);
    fs::write(place.root().join("splits.csv"), text).unwrap();
    let data = Dataset::open(place.root()).unwrap();
    let values =
        |i: usize| data.attributes[i].values.iter().map(|v| v.to_string()).collect::<Vec<_>>();
    assert_eq!(values(0), ["18-39", "65+", "unknown", "18-39"]);
    assert_eq!(values(1), ["3"; 4]);
}

#[test]
fn lists_of_other_programs_are_read_under_other_names() {
    let place = Place::new(&FOUR);
    let rows = "\u{feff}Case;File;Diagnosis;Fold;Comment\r\np1;a/1.png;x;Training;\"long; \
                text\"\r\np2;a/2.png;x;TEST;\r\n\
                p3;b/1.png;y;val;\r\np4;b/2.png;y;Testing;\r\np5;b/3.png;y;train;\r\n\
                p6;a/3.png;x;validation;\r\n";
    fs::write(place.root().join("a/3.png"), b"").unwrap();
    fs::write(place.root().join("b/3.png"), b"").unwrap();
    let columns = "path=file,label=diagnosis,group=case,split=fold".parse().unwrap();
    for rows in [rows.to_owned(), rows.replace(';', "\t").replace("long\t text", "long; text")] {
        fs::write(place.root().join("splits.csv"), rows).unwrap();
        let data = Dataset::open_with(place.root(), &columns).unwrap();
        assert_eq!((data.classes.join(" ").as_str(), data.items[0].group.as_str()), ("x y", "p1"));
        assert_eq!(
            (data.indices(Split::Test), data.stated_parts().unwrap()),
            (vec![1, 3], (vec![0, 4], vec![2, 5]))
        );
        assert_eq!(
            data.attributes.iter().map(|a| a.name.as_str()).collect::<Vec<_>>(),
            ["Comment"]
        );
    }
    let (_, text) = place.refusal();
    assert!(
        text.contains("column path is missing") && text.contains("--columns path=NAME"),
        "{text}"
    );
    fs::write(place.root().join("splits.csv"), b"\xff\xfep\0a\0").unwrap();
    assert!(place.refusal().1.contains("UTF-16"));
    fs::remove_file(place.root().join("splits.csv")).unwrap();
    let text = Dataset::open_with(place.root(), &columns).unwrap_err().to_string();
    assert!(text.contains("--columns") && text.contains("no splits.csv"), "{text}");
}

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
fn missing_files_and_folders_in_their_place_are_refused() {
    for path in ["a/3.png", "a", "a/1.png/x"] {
        let (error, text) = Place::new(&FOUR).listing(&format!("{path},a,p1,train\n")).refusal();
        assert!(
            matches!(error, Error::ImageMissing { .. })
                && text.contains("row 2")
                && text.contains(path),
            "{text}"
        );
    }
}

#[test]
fn paths_out_of_the_folder_are_refused() {
    for path in ["/etc/passwd", "../x.png", "a/../a/1.png"] {
        let (error, text) = Place::new(&FOUR).listing(&format!("{path},a,p1,train\n")).refusal();
        assert!(
            matches!(error, Error::PathLeavesFolder { .. }) && text.contains("row 2"),
            "{text}"
        );
    }
}

#[cfg(unix)]
#[test]
fn links_out_of_the_folder_are_refused() {
    let elsewhere = Place::new(&["secret.png"]);
    let place = Place::new(&FOUR).listing("a/link.png,a,p1,train\n");
    std::os::unix::fs::symlink(
        elsewhere.root().join("secret.png"),
        place.root().join("a/link.png"),
    )
    .unwrap();
    assert!(matches!(place.refusal().0, Error::PathLeavesFolder { .. }));
    fs::remove_file(place.root().join("splits.csv")).unwrap();
    assert!(matches!(place.refusal().0, Error::PathLeavesFolder { .. }));
}

#[test]
fn one_file_named_twice_is_refused() {
    let place = Place::new(&FOUR).listing(&format!("{GOOD}a/./1.png,a,p9,test\n"));
    let (error, text) = place.refusal();
    assert!(matches!(error, Error::DuplicatePath { .. }), "{text}");
    assert!(text.contains("row 2") && text.contains("row 6"), "{text}");
}

#[cfg(unix)]
#[test]
fn one_file_under_two_names_is_refused() {
    let place = Place::new(&FOUR).listing(&format!("{GOOD}a/other.png,a,p9,test\n"));
    std::os::unix::fs::symlink(place.root().join("a/1.png"), place.root().join("a/other.png"))
        .unwrap();
    assert!(matches!(place.refusal().0, Error::DuplicatePath { .. }));
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

fn preprocessing() -> Preprocessing {
    let size = Size { height: 8, width: 8 };
    let crop_offset = CropOffset::Floor;
    let (mean, std) = ([0.5, 0.4, 0.3], [0.25, 0.5, 1.0]);
    Preprocessing {
        resize: Resize::Exact(size),
        filter: Filter::Bicubic,
        crop: None,
        crop_offset,
        rescale: 1.0 / 255.0,
        mean,
        std,
    }
}

/// Four pictures of 8 x 8, left half one colour and right half another.
fn pictures() -> (Place, Dataset) {
    let place = Place::new(&FOUR).listing(GOOD);
    for (i, file) in FOUR.iter().enumerate() {
        let left = [10 * i as u8, 100, 200];
        let pixels: Vec<u8> =
            (0..64).flat_map(|p| if p % 8 < 4 { left } else { [50, 60, 70] }).collect();
        let image = medforge_runtime::image::RgbImage8::new(pixels, 8, 8).unwrap();
        fs::write(place.root().join(file), phantom::png(&image).unwrap()).unwrap();
    }
    let data = Dataset::open(place.root()).unwrap();
    (place, data)
}

#[test]
fn images_are_loaded_in_order_with_colours_and_groups() {
    let (_place, data) = pictures();
    let images = Images::load(&data, &[3, 0, 2], &preprocessing()).unwrap();
    assert_eq!(
        (images.len(), images.labels(), images.groups()),
        (3, &[1, 0, 1][..], &[2, 0, 1][..])
    );
    assert_eq!(images.pixels(0)[..3], [30, 100, 200]);
    let [r, g, b, sd_r, sd_g, sd_b] = images.colours()[0].features();
    let expected = [40.0, 80.0, 135.0, 10.0, 20.0, 65.0].map(|v| v / 255.0);
    for (value, expected) in [r, g, b, sd_r, sd_g, sd_b].into_iter().zip(expected) {
        assert!((value - expected).abs() < 1e-12, "{value} {expected}");
    }
}

#[test]
fn batches_are_normalised_planes() {
    let (_place, data) = pictures();
    let images = Images::load(&data, &[0, 1, 2, 3], &preprocessing()).unwrap();
    let mut batch = vec![9.0; 5];
    images.batch(&[2, 1], None, &mut batch).unwrap();
    assert_eq!(batch.len(), 2 * 3 * 64);
    let value = |level: f64, c: usize| {
        ((level / 255.0 - preprocessing().mean[c]) / preprocessing().std[c]) as f32
    };
    assert!((batch[0] - value(20.0, 0)).abs() < 1e-6);
    assert!((batch[64 + 7] - value(60.0, 1)).abs() < 1e-6);
    assert!((batch[192 + 128] - value(200.0, 2)).abs() < 1e-6);
}

#[test]
fn augmented_batches_depend_on_the_draw_and_not_on_the_company() {
    let (_place, data) = pictures();
    let images = Images::load(&data, &[0, 1, 2, 3], &preprocessing()).unwrap();
    let augment = Augment { colour_jitter: 0.5, ..Augment::default() };
    let run = |indices: &[usize], epoch| {
        let mut batch = Vec::new();
        images.batch(indices, Some((&augment, Draw { seed: 7, epoch })), &mut batch).unwrap();
        batch
    };
    assert_eq!(run(&[1, 2], 4)[192..], run(&[2], 4)[..]);
    assert_ne!(run(&[2], 4), run(&[2], 5));
}

#[test]
fn an_image_that_does_not_decode_is_named() {
    let (place, data) = pictures();
    let file = place.root().join(FOUR[1]);
    let whole = fs::read(&file).unwrap();
    for bytes in [&b"no image"[..], &b""[..], &whole[..whole.len() / 2]] {
        fs::write(&file, bytes).unwrap();
        let text = Images::load(&data, &[0, 1, 2], &preprocessing()).err().unwrap().to_string();
        assert!(text.contains("a/2.png"), "{text}");
    }
    fs::write(place.root().join(FOUR[2]), b"").unwrap();
    let text = Images::load(&data, &[0, 1, 2], &preprocessing()).err().unwrap().to_string();
    assert!(
        text.contains("2 faults") && text.contains("a/2.png") && text.contains("b/1.png"),
        "{text}"
    );
    fs::remove_file(&file).unwrap();
    assert!(
        Images::load(&data, &[1], &preprocessing()).err().unwrap().to_string().contains("a/2.png")
    );
}

#[test]
fn files_over_the_limits_are_refused_unread() {
    let (place, data) = pictures();
    // Sparse: nothing is stored.
    fs::File::create(place.root().join(FOUR[0])).unwrap().set_len(1 << 40).unwrap();
    assert!(matches!(Images::load(&data, &[0], &preprocessing()), Err(Error::TooLarge { .. })));
    fs::File::create(place.root().join("splits.csv")).unwrap().set_len(1 << 40).unwrap();
    assert!(matches!(Dataset::open(place.root()), Err(Error::TooLarge { .. })));
}

/// A PNG header of 16 bits a channel without a pixel: all that a dry run needs to see.
#[test]
fn headers_tell_what_loading_would_refuse_and_what_is_cut() {
    let (place, data) = pictures();
    let square = Some(Size { height: 8, width: 8 });
    let cropped =
        Preprocessing { resize: Resize::ShortestEdge(8), crop: square, ..preprocessing() };
    assert_eq!(data.headers(&[0, 1], &cropped).unwrap(), Some(0.0));
    let wide = medforge_runtime::image::RgbImage8::new(vec![7; 64 * 32 * 3], 64, 32).unwrap();
    fs::write(place.root().join(FOUR[0]), phantom::png(&wide).unwrap()).unwrap();
    // Half of the columns are seen of one of two.
    assert_eq!(data.headers(&[0, 1], &cropped).unwrap(), Some(0.25));
    assert_eq!(Images::load(&data, &[0, 1], &cropped).unwrap().cut(), 0.25);
    assert_eq!(
        data.headers(&[0, 1], &preprocessing()).unwrap(),
        Some(0.0),
        "squeezed, and all of it seen"
    );
    let mut deep = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x04\0\0\0\x04\x10\0\0\0\0".to_vec();
    deep.extend(crc32fast::hash(&deep[12..29]).to_be_bytes());
    deep.extend(b"\0\0\0\0IDAT");
    deep.extend(crc32fast::hash(b"IDAT").to_be_bytes());
    for file in [FOUR[1], FOUR[3]] {
        fs::write(place.root().join(file), &deep).unwrap();
    }
    let text = data.headers(&[0, 1, 2, 3], &cropped).unwrap_err().to_string();
    assert!(text.contains("2 faults") && text.contains("a/2.png: 16 bits a channel"), "{text}");
}
