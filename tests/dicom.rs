//! Stored values and DICOM files against what pydicom and numpy show of the same
//! (`dicom/golden.py`).
//!
//! MEDFORGE_PYDICOM names the folder of pydicom's test files. With it, the files themselves are
//! read too: each pixel is within a grey level, or the refusal has a name.

use medforge_runtime::stored::{Bits, Function, Modality, Photometric, Stored, Voi};
use medforge_runtime::{Error, dicom};
use serde_json::Value;

fn golden() -> Vec<Value> {
    serde_json::from_str(include_str!("dicom/golden.json")).unwrap()
}

fn bytes(entry: &Value, key: &str) -> Vec<u8> {
    hex::decode(entry[key].as_str().unwrap()).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().map(|all| all.iter().filter_map(Value::as_f64).collect()).unwrap_or_default()
}

/// The largest difference of any sample, and how many differ by more than one level.
fn compare(ours: &[u8], theirs: &[u8]) -> (u8, usize) {
    assert_eq!(ours.len(), theirs.len());
    let differences = ours.iter().zip(theirs).map(|(a, b)| a.abs_diff(*b));
    (
        differences.clone().max().unwrap_or(0),
        differences.filter(|difference| *difference > 1).count(),
    )
}

#[test]
fn stored_values_are_shown_as_pydicom_and_numpy_show_them() {
    let mut seen = 0;
    for entry in golden() {
        let name = &entry["file"];
        if entry["error"].is_string() || entry["tables"] == true {
            continue;
        }
        let [allocated, stored, high, representation] = numbers(&entry["bits"])[..] else {
            panic!("{name}")
        };
        let [width, height] = numbers(&entry["size"])[..] else { panic!("{name}") };
        let data = bytes(&entry, "stored");
        // One bit is kept in a byte; wider colour is refused.
        let gray = entry["photometric"].as_str().unwrap().starts_with("MONOCHROME");
        let samples = if gray { 1 } else { 3 };
        let wide = data.len() / (width as usize * height as usize * samples) * 8;
        if allocated == 1.0 || (!gray && stored > 16.0) {
            continue;
        }
        assert_eq!(wide, allocated as usize, "{name}");
        let stored = Stored {
            data: &data,
            rows: height as u32,
            columns: width as u32,
            stride: None,
            bits: Bits {
                allocated: allocated as u16,
                stored: stored as u16,
                high: high as u16,
                signed: representation == 1.0,
                big_endian: false,
            },
            photometric: match entry["photometric"].as_str().unwrap() {
                "MONOCHROME1" => Photometric::Monochrome1,
                "MONOCHROME2" => Photometric::Monochrome2,
                _ => Photometric::Rgb,
            },
            planar: false,
            modality: match numbers(&entry["modality"])[..] {
                [slope, intercept] => Modality::Linear { slope, intercept },
                _ => Modality::Linear { slope: 1.0, intercept: 0.0 },
            },
            voi: match numbers(&entry["window"])[..] {
                [center, width] => Voi::Window { center, width, function: Function::Linear },
                _ => Voi::Range,
            },
            padding: entry["padding"].as_i64().map(|value| value..=value),
        };
        let (most, _) = compare(stored.rgb().unwrap().data(), &bytes(&entry, "rgb"));
        assert!(most <= 1, "{name}: {most} levels");
        seen += 1;
    }
    assert!(seen >= 35, "only {seen} files");
}

#[test]
fn pydicoms_files_are_read_to_a_grey_level_or_refused_by_name() {
    let Some(folder) = std::env::var_os("MEDFORGE_PYDICOM").map(std::path::PathBuf::from) else {
        eprintln!("MEDFORGE_PYDICOM is not set: pydicom's files are not read");
        return;
    };
    let (mut equal, mut wrong, mut refused) = (0, Vec::new(), Vec::new());
    for entry in golden() {
        let name = entry["file"].as_str().unwrap();
        let file = std::fs::read(folder.join(name)).unwrap();
        let shown = dicom::read(&file, name).and_then(|file| file.frame(0)?.rgb());
        match shown {
            Ok(_) if entry["error"].is_string() => {
                refused.push(format!("{name}: shown, where pydicom says {}", entry["error"]))
            }
            Ok(image) => {
                let [x, y, width, height] =
                    [numbers(&entry["at"]), numbers(&entry["size"])].concat()[..]
                else {
                    panic!()
                };
                let (x, y, width) = (x as usize, y as usize, width as usize);
                let rows = (y..y + height as usize).flat_map(|row| {
                    image.data()[(row * image.width() as usize + x) * 3..][..width * 3].to_vec()
                });
                let (most, count) = compare(&rows.collect::<Vec<_>>(), &bytes(&entry, "rgb"));
                // Of lossy colour libjpeg, which ours follows, and pylibjpeg round two levels
                // apart.
                let lossy = ["1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"]
                    .map(Value::from)
                    .contains(&entry["syntax"]);
                let colour = !entry["photometric"].as_str().unwrap().starts_with("MONOCHROME");
                let allowed = if lossy && colour { 2 } else { 1 };
                if most <= allowed {
                    equal += 1;
                } else {
                    wrong.push(format!("{name}: {count} samples differ, by {most} at most"));
                }
            }
            Err(error) => {
                let named = matches!(
                    error,
                    Error::DicomUnsupported { .. } | Error::Image { .. } | Error::Pixels { .. }
                );
                assert!(named, "{name}: {error:?}");
                refused.push(error.to_string());
            }
        }
    }
    refused.iter().for_each(|line| eprintln!("{line}"));
    assert!(wrong.is_empty(), "{equal} are equal, but:\n{}", wrong.join("\n"));
    assert!(equal >= 37, "only {equal} files were shown");
}
