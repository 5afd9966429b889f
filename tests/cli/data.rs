//! Data sets as people have them: `packer check`, folders of a split, TIFF files, images that are
//! not square.

use serde_json::Value;

use super::*;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn module_card(at: &Path, module: &str) -> Value {
    json(&std::fs::read_to_string(at.join(module).join("module.json")).unwrap())
}

/// A grey PNG of 16 bits a channel.
fn deep() -> Vec<u8> {
    let image = image::ImageBuffer::<image::Luma<u16>, Vec<u16>>::from_fn(8, 8, |x, y| {
        image::Luma([(x * y * 900) as u16])
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::DynamicImage::from(image).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// An RGB image as an uncompressed TIFF file of one strip.
fn tiff(image: &image::RgbImage) -> Vec<u8> {
    let (width, height) = image.dimensions();
    let pixels = image.as_raw();
    let bits = 8 + pixels.len() as u32;
    let tags: [(u16, u16, u32, u32); 8] = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, 3, bits),
        (262, 3, 1, 2),
        (273, 4, 1, 8),
        (277, 3, 1, 3),
        (278, 4, 1, height),
        (279, 4, 1, pixels.len() as u32),
    ];
    let mut bytes = [&b"II*\0"[..], &(bits + 6).to_le_bytes(), pixels].concat();
    bytes.extend([8u16; 3].map(u16::to_le_bytes).concat());
    bytes.extend((tags.len() as u16).to_le_bytes());
    for (tag, kind, count, value) in tags {
        bytes.extend([tag, kind].map(u16::to_le_bytes).concat());
        bytes.extend([count, value].map(u32::to_le_bytes).concat());
    }
    bytes.extend([0; 4]);
    bytes
}

/// The rows of the workshop's list: path, label, group, split.
fn rows(at: &Path) -> Vec<[String; 4]> {
    let table = std::fs::read_to_string(at.join("data/splits.csv")).unwrap();
    table
        .lines()
        .skip(1)
        .map(|row| std::array::from_fn(|i| row.split(',').nth(i).unwrap().to_owned()))
        .collect()
}

#[test]
fn check_finds_nothing_wrong_with_good_images_and_counts_them() {
    let dir = workshop();
    let found = json(&good(dir.path(), "check data --json"));
    let rows = rows(dir.path());
    assert_eq!(
        (found["faults"].as_array().unwrap().len(), found["decoded"].as_u64()),
        (0, Some(rows.len() as u64))
    );
    for part in found["parts"].as_array().unwrap() {
        let split = if part["name"] == "test" { "test" } else { "train" };
        let own = rows.iter().filter(|row| row[3] == split).count();
        assert_eq!(part["images"].as_u64(), Some(own as u64));
        let classes =
            part["classes"].as_object().unwrap().values().map(|counts| counts[0].as_u64().unwrap());
        assert_eq!(classes.sum::<u64>(), own as u64);
    }
    assert!(good(dir.path(), "check data").contains("faults      none"));
}

#[test]
fn check_lists_all_faults_and_other_commands_name_all_bad_files() {
    let dir = workshop();
    let at = dir.path();
    let of = |split: &str| -> Vec<[String; 4]> {
        rows(at).into_iter().filter(|row| row[3] == split).collect()
    };
    let (train, test) = (of("train"), of("test"));
    let path = |row: &[String; 4]| at.join("data").join(&row[0]);
    std::fs::write(path(&train[0]), b"no image").unwrap();
    std::fs::write(path(&train[1]), deep()).unwrap();
    // The same picture on both sides.
    std::fs::copy(path(&train[2]), path(&test[0])).unwrap();
    let output = packer(at, "check data --json").output().unwrap();
    assert_eq!(
        (output.status.code(), said(&output).as_str()),
        (Some(1), "packer: data: 2 faults\n")
    );
    let found = json(&String::from_utf8(output.stdout).unwrap());
    let files: Vec<&str> = found["faults"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| fault["file"].as_str().unwrap())
        .collect();
    assert_eq!(files, [&train[0], &train[1]].map(|row| format!("data/{}", row[0])));
    assert!(found["faults"][1]["what"].as_str().unwrap().contains("16 bits a channel"), "{found}");
    assert!(
        found["faults"][1]["instead"].as_str().unwrap().contains("window the image"),
        "{found}"
    );
    let warnings = found["warnings"].to_string();
    assert!(warnings.contains("the same picture") && warnings.contains(&test[0][0]), "{warnings}");

    let words = String::from_utf8(packer(at, "check data").output().unwrap().stdout).unwrap();
    assert!(words.contains(&train[0][0]) && words.contains(&train[1][0]), "{words}");
    for command in [format!("{TRAIN} --out m"), format!("{TRAIN} --out m --dry-run")] {
        let output = packer(at, &command).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{command}");
        for row in [&train[0], &train[1]] {
            assert!(said(&output).contains(&row[0]), "{command}: {}", said(&output));
        }
    }
    assert!(!at.join("m").exists());

    // Rows and files are both wrong, and the rest of the list is checked too.
    let list = std::fs::read_to_string(at.join("data/splits.csv")).unwrap();
    std::fs::write(
        at.join("data/splits.csv"),
        format!("{list}nowhere.png,x,p,train\n../x.png,x,p,no\n"),
    )
    .unwrap();
    let output = packer(at, "check data --json").output().unwrap();
    let found = json(&String::from_utf8(output.stdout).unwrap());
    assert_eq!(found["faults"].as_array().unwrap().len(), 4, "{found}");
}

#[test]
fn folders_of_a_split_train_a_classifier_of_the_classes_inside() {
    let dir = workshop();
    let at = dir.path();
    for [path, label, _, split] in rows(at) {
        let folder = at
            .join("folders")
            .join(if split == "train" { "Training" } else { "TEST" })
            .join(&label);
        std::fs::create_dir_all(&folder).unwrap();
        let image = image::open(at.join("data").join(&path)).unwrap().to_rgb8();
        std::fs::write(folder.join(path.replace('/', "_")).with_extension("tif"), tiff(&image))
            .unwrap();
    }
    let train = TRAIN.replace("--data data", "--data folders");
    good(at, &format!("{train} --out f"));
    good(at, &format!("{TRAIN} --out m"));
    assert_eq!(module_card(at, "f")["classes"], module_card(at, "m")["classes"]);
    let table = good(at, "eval --base base --module f --data folders --json --resamples 200");
    assert_eq!(json(&table)["n"].as_u64(), Some(test_images(at).len() as u64));
    // A class beside the parts.
    copy_folder_to(at, "folders/Training", "folders/extra");
    let text = refused(at, 1, &format!("{train} --out g"));
    assert!(text.contains("extra does not"), "{text}");
}

fn copy_folder_to(at: &Path, from: &str, to: &str) {
    std::fs::create_dir_all(at.join(to)).unwrap();
    copy_folder(&at.join(from), &at.join(to));
}

/// A device prepares images that are not square as training did, for each way to fit them.
#[test]
fn each_fit_is_said_carried_and_the_same_on_a_device() {
    let dir = workshop();
    let at = dir.path();
    for [path, ..] in rows(at) {
        let image = image::open(at.join("data").join(&path)).unwrap();
        image
            .resize_exact(48, 24, image::imageops::FilterType::Triangle)
            .save(at.join("data").join(&path))
            .unwrap();
    }
    for (fit, resize, cut) in
        [("crop", "shortest_edge", 0.5), ("squash", "exact", 0.0), ("pad", "pad", 0.0)]
    {
        let output = packer(at, &format!("{TRAIN} --fit {fit} --out {fit}")).output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
        assert_eq!(said(&output).contains("leaves away 50 %"), cut > 0.0, "{}", said(&output));
        let card = module_card(at, fit);
        assert!(card["preprocessing"]["resize"].get(resize).is_some(), "{card}");
        assert_eq!(card["training"]["share_cut"].as_f64(), Some(cut));
        good(at, &format!("bundle --base base --module {fit} --key k.key --out {fit}.medforge"));
        good(
            at,
            &format!(
                "eval --base base --module {fit} --data data --predictions {fit}.csv --resamples \
                 200"
            ),
        );
        let images = test_images(at);
        let names: Vec<&str> = images.iter().map(|(path, _)| path.as_str()).take(8).collect();
        let results = json(&good(
            at,
            &format!("classify {fit}.medforge --trust k.pub --json {}", names.join(" ")),
        ));
        let table = std::fs::read_to_string(at.join(format!("{fit}.csv"))).unwrap();
        for (row, result) in table.lines().skip(1).zip(results.as_array().unwrap()) {
            for (expected, found) in
                row.split(',').skip(4).zip(result["probabilities"].as_array().unwrap())
            {
                let difference =
                    expected.parse::<f64>().unwrap() - found["probability"].as_f64().unwrap();
                assert!(difference.abs() < 1e-4, "{fit}: {result} against {row}");
            }
        }
    }
    let text = refused(
        at,
        1,
        "bundle --base base --module crop --module pad --key k.key --out x.medforge",
    );
    assert!(text.contains("two modules are for the task") || text.contains("--fit"), "{text}");
    let found = json(&good(at, "check data --base base --fit crop --json"));
    assert_eq!(found["share_cut"][0].as_f64(), Some(0.5));
    assert!(good(at, "check data").contains("leaves away 50 %"));
}

#[test]
fn a_list_of_another_program_is_read_with_columns() {
    let dir = workshop();
    let at = dir.path();
    let mut list = String::from("\u{feff}File;Diagnosis;Patient;Fold;Report;Age\r\n");
    for ([path, label, group, split], i) in rows(at).into_iter().zip(0..) {
        let (report, age) = ("findings, ".repeat(20), 20 + i % 60);
        list += &format!("{path};{label};{group};{};{report};{age}\r\n", split.to_uppercase());
    }
    std::fs::write(at.join("data/splits.csv"), list).unwrap();
    let columns = "--columns path=file,label=diagnosis,group=patient,split=fold";
    good(at, &format!("check data {columns}"));
    good(at, &format!("{TRAIN} {columns} --out m"));
    let by = good(
        at,
        &format!(
            "eval --base base --module m --data data {columns} --by Age --json --resamples 200"
        ),
    );
    let values: Vec<Value> = json(&by)["subgroups"][0]["values"].as_array().unwrap().clone();
    let names: Vec<&str> = values.iter().map(|value| value["value"].as_str().unwrap()).collect();
    assert_eq!(names, ["18-39", "40-64", "65+"]);
    let text =
        refused(at, 1, &format!("eval --base base --module m --data data {columns} --by Report"));
    assert!(text.contains("the limit is 64"), "{text}");
    let text = refused(at, 1, "check data --columns label");
    assert!(text.contains("--columns") && text.contains("label=diagnosis"), "{text}");
}
