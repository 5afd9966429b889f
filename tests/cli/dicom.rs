//! DICOM folders and results by attribute, on the command line.

use super::*;

type Element<'a> = (u16, u16, &'a str, Vec<u8>);

/// A Part 10 file in explicit little-endian VRs, with an RGB image and a header.
fn dicom(image: &image::RgbImage, uid: &str, patient: &str, sex: &str) -> Vec<u8> {
    let even =
        |text: &str| format!("{text}{}", if text.len() % 2 == 1 { " " } else { "" }).into_bytes();
    let word = |value: u32| (value as u16).to_le_bytes().to_vec();
    let elements: [Element; 14] = [
        (0x08, 0x18, "UI", even(uid)),
        (0x08, 0x80, "LO", even("North")),
        (0x10, 0x20, "LO", even(patient)),
        (0x10, 0x40, "CS", even(sex)),
        (0x10, 0x1010, "AS", even("051Y")),
        (0x28, 0x02, "US", word(3)),
        (0x28, 0x04, "CS", even("RGB")),
        (0x28, 0x06, "US", word(0)),
        (0x28, 0x10, "US", word(image.height())),
        (0x28, 0x11, "US", word(image.width())),
        (0x28, 0x100, "US", word(8)),
        (0x28, 0x101, "US", word(8)),
        (0x28, 0x102, "US", word(7)),
        (0x28, 0x103, "US", word(0)),
    ];
    let one = |(group, number, vr, value): &Element| {
        let length = value.len() as u16;
        [&group.to_le_bytes(), &number.to_le_bytes(), vr.as_bytes(), &length.to_le_bytes(), value]
            .concat()
    };
    let pixels = image.as_raw();
    let syntax = one(&(2, 0x10, "UI", b"1.2.840.10008.1.2.1\0".to_vec()));
    let length = one(&(2, 0, "UL", (syntax.len() as u32).to_le_bytes().to_vec()));
    let data: Vec<u8> = elements.iter().flat_map(one).collect();
    let head = [&b"\xe0\x7f\x10\0OB\0\0"[..], &(pixels.len() as u32).to_le_bytes()].concat();
    [&[0; 128][..], b"DICM", &length, &syntax, &data, &head, pixels].concat()
}

/// The images of the workshop as DICOM files of the same names and pixels, with a labels.csv of
/// `columns`.
fn as_dicom(at: &Path, columns: &[&str]) {
    let table = std::fs::read_to_string(at.join("data/splits.csv")).unwrap();
    let mut list = format!("{}\n", columns.join(","));
    for (i, row) in table.lines().skip(1).enumerate() {
        let cells: Vec<&str> = row.split(',').collect();
        let image = image::open(at.join("data").join(cells[0])).unwrap().to_rgb8();
        let path = cells[0].replace(".png", ".dcm");
        let sex = if cells[2].bytes().map(u32::from).sum::<u32>() % 2 == 0 { "F" } else { "M" };
        let target = at.join("dicom").join(&path);
        std::fs::create_dir_all(target.parent().unwrap()).unwrap();
        std::fs::write(target, dicom(&image, &format!("1.2.{i}"), cells[2], sex)).unwrap();
        let value = |column: &&str| match *column {
            "path" => path.clone(),
            "label" => cells[1].to_owned(),
            "split" => cells[3].to_owned(),
            _ => format!("{}", i % 3),
        };
        list += &format!("{}\n", columns.iter().map(value).collect::<Vec<_>>().join(","));
    }
    std::fs::write(at.join("dicom/labels.csv"), list).unwrap();
}

/// The same pixels, patients and splits give the same module and figures, whatever kind of file
/// they come from. `--by` gives results by attribute.
#[test]
fn a_dicom_folder_is_the_same_data_set() {
    let dir = workshop();
    let at = dir.path();
    as_dicom(at, &["path", "label", "split", "reader"]);
    good(at, &format!("{TRAIN} --out m"));
    good(at, &format!("{} --out d", TRAIN.replace("--data data", "--data dicom")));
    let weights =
        |module: &str| std::fs::read(at.join(module).join("adapter_model.safetensors")).unwrap();
    assert_eq!(weights("m"), weights("d"));

    let eval = "eval --base base --module d --resamples 200 --json --data";
    let plain: serde_json::Value =
        serde_json::from_str(&good(at, &format!("{eval} data"))).unwrap();
    let by = "dicom --by PatientSex --by PatientAge --by reader --record";
    let found: serde_json::Value =
        serde_json::from_str(&good(at, &format!("{eval} {by}"))).unwrap();
    assert_eq!(plain["metrics"], found["metrics"]);
    assert!(plain.get("subgroups").is_none());
    let [sex, age, reader] = &found["subgroups"].as_array().unwrap()[..] else { panic!("{found}") };
    let names = |by: &serde_json::Value| -> Vec<String> {
        by["values"]
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v["value"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        (names(sex), names(age), names(reader).len()),
        (vec!["F".into(), "M".into()], vec!["40-64".into()], 3)
    );
    // All patients are in one band, so its figures are those of all.
    assert_eq!(age["values"][0]["metrics"][0], found["metrics"][1]);
    let images: u64 =
        sex["values"].as_array().unwrap().iter().map(|v| v["n"].as_u64().unwrap()).sum();
    assert_eq!(found["n"], images);
    let card: serde_json::Value =
        serde_json::from_slice(&std::fs::read(at.join("d/module.json")).unwrap()).unwrap();
    assert_eq!(card["measured"]["subgroups"], found["subgroups"]);

    let words =
        good(at, "eval --base base --module d --resamples 200 --data dicom --by PatientSex");
    assert!(words.contains("\nby PatientSex\nvalue") && words.contains("gap"), "{words}");
    good(at, "keygen --out n");
    good(at, "bundle --base base --module d --key n.key --out d.medforge");
    let table = std::fs::read_to_string(at.join("dicom/labels.csv")).unwrap();
    let first = format!("dicom/{}", table.lines().nth(1).unwrap().split(',').next().unwrap());
    let image = first.replacen("dicom/", "data/", 1).replace(".dcm", ".png");
    let classified = |image: &str| {
        let text = good(at, &format!("classify d.medforge --trust n.pub --json {image}"));
        serde_json::from_str::<serde_json::Value>(&text).unwrap()[0]["probabilities"].clone()
    };
    assert_eq!(classified(&first), classified(&image));
}

#[test]
fn dicom_folders_and_columns_that_cannot_be_used_are_refused() {
    let dir = workshop();
    let at = dir.path();
    as_dicom(at, &["path", "label"]);
    let train = TRAIN.replace("--data data", "--data dicom");
    good(at, &format!("{train} --out m --epochs 1").replace("--epochs 2 ", ""));
    let eval = "eval --base base --module m --resamples 100 --data dicom";
    assert!(
        refused(at, 1, &format!("{eval} --by scanner"))
            .contains("there are PatientSex, PatientAge")
    );

    let list = at.join("dicom/labels.csv");
    let table = std::fs::read_to_string(&list).unwrap();
    let rows = table.lines().skip(1).enumerate();
    let split: String = rows
        .map(|(i, row)| format!("{row},{}\n", if i % 2 == 0 { "train" } else { "test" }))
        .collect();
    std::fs::write(&list, format!("path,label,split\n{split}")).unwrap();
    // Every group that is on both sides is named.
    let output = packer(at, &format!("{train} --out n")).output().unwrap();
    let list = said(&output);
    assert!(output.status.code() == Some(1) && list.starts_with("packer: 15 faults:"), "{list}");
    assert!(list.contains("is in training (dicom/labels.csv, row"), "{list}");
    assert!(!at.join("n").exists());
}
