//! Files that peers read too, in the folder MEDFORGE_DIFFERENTIAL. `differential/make.py` makes
//! them, and says which peers there are and how it is known what is right.
//!
//! Each frame and picture is shown within so many grey levels, or refused by a named error. What
//! nobody may show is refused. Kinds that are common must be read: [`READ`] says how many frames of
//! each.
//!
//! More than one level is allowed to JPEG alone. Decoders round its cosine transform (within one,
//! ITU-T T.83), then the mean of chroma that was sampled coarsely, then RGB. There red and blue
//! take 1.402 and 1.772 times the chroma's error.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use medforge_runtime::image::RgbImage8;
use medforge_runtime::{Error, dicom, image};
use serde_json::Value;

/// How many frames or files of a kind must be shown, not refused.
const READ: [(&str, usize); 41] = [
    ("baseline", 10),
    ("baseline_colour", 9),
    ("colour", 18),
    ("decimal_comma", 3),
    ("empty", 7),
    ("extended", 5),
    ("fragments", 5),
    ("frames", 33),
    ("frames_zero", 2),
    ("header", 12),
    ("high_bit", 3),
    ("implicit_in_explicit", 1),
    ("jpeg", 68),
    ("jpeg_adobe", 5),
    ("jpeg_coarse_luma", 14),
    ("jpeg_gray", 16),
    ("jpeg_progressive", 31),
    ("jpeg_rgb", 5),
    ("jpeg_separate_scans", 28),
    ("lossless", 56),
    ("lossless_colour", 27),
    ("meta", 7),
    ("modality_table", 13),
    ("native", 42),
    ("number", 6),
    ("padding", 16),
    ("palette", 17),
    ("png", 104),
    ("rgb_over_ybr", 2),
    ("rle", 11),
    ("sequence", 18),
    ("slope", 12),
    ("stated_length", 2),
    ("un_undefined", 3),
    ("voi_table", 18),
    ("voi_table_12_in_16", 3),
    ("vr_un", 12),
    ("window", 17),
    ("window_narrow", 6),
    ("window_none", 3),
    ("zeros_after", 7),
];

/// What became of the files of a kind.
#[derive(Default)]
struct Count {
    equal: usize,
    refused: usize,
    wrong: usize,
}

#[test]
fn files_are_shown_as_two_peers_show_them_or_refused_by_name() {
    let Some(folder) = std::env::var_os("MEDFORGE_DIFFERENTIAL").map(std::path::PathBuf::from)
    else {
        eprintln!("MEDFORGE_DIFFERENTIAL is not set: no files are compared with peers");
        return;
    };
    let expected = std::fs::read(folder.join("expected.json")).unwrap();
    let entries: Vec<Value> = serde_json::from_slice(&expected).unwrap();
    assert!(entries.len() >= 600, "only {} frames and pictures", entries.len());
    let (mut counts, mut faults) = (BTreeMap::<&str, Count>::new(), Vec::new());
    for entry in &entries {
        let kind = entry["kind"].as_str().unwrap();
        let (file, frame) = (entry["file"].as_str().unwrap(), entry["frame"].as_u64().unwrap_or(0));
        let count = counts.entry(kind).or_default();
        let shown = catch_unwind(AssertUnwindSafe(|| show(&folder, file, frame as u32)));
        let fault = match shown {
            Err(_) => Some("panicked".to_owned()),
            Ok(Ok(image)) => differs(&folder, entry, &image),
            Ok(Err(error)) => {
                count.refused += 1;
                eprintln!("refused: {error}");
                let named = matches!(
                    error,
                    Error::DicomUnsupported { .. } | Error::Image { .. } | Error::Pixels { .. }
                );
                (!named).then(|| format!("refused without a name: {error}"))
            }
        };
        match fault {
            Some(what) => {
                count.wrong += 1;
                faults.push(format!("{file}, frame {frame}: {what}"));
            }
            None => count.equal += 1,
        }
    }
    // What was refused is no fault, but it is not equal.
    counts.values_mut().for_each(|count| count.equal = count.equal.saturating_sub(count.refused));
    for (kind, Count { equal, refused, wrong }) in &counts {
        eprintln!("{kind:<22} {equal:>4} equal {refused:>4} refused {wrong:>4} wrong");
    }
    for (kind, least) in READ {
        let equal = counts.get(kind).map_or(0, |count| count.equal);
        if equal < least {
            faults
                .push(format!("{kind}: only {equal} were shown rightly, of which {least} must be"));
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

fn show(folder: &Path, file: &str, frame: u32) -> Result<RgbImage8, Error> {
    let bytes = std::fs::read(folder.join(file)).unwrap();
    if file.ends_with(".dcm") {
        dicom::read(&bytes, file)?.frame(frame)?.rgb()
    } else {
        image::decode(&bytes, file)
    }
}

/// What is wrong with a picture, if anything is.
fn differs(folder: &Path, entry: &Value, image: &RgbImage8) -> Option<String> {
    if let Some(reason) = entry["refuse"].as_str() {
        return Some(format!("shown, where it has {reason}"));
    }
    // Listed by make.py; there are none today.
    let right = std::fs::read(folder.join(entry["rgb"].as_str()?)).unwrap();
    let size = [entry["width"].as_u64().unwrap(), entry["height"].as_u64().unwrap()];
    if size != [u64::from(image.width()), u64::from(image.height())] {
        return Some(format!("{} x {} in place of {size:?}", image.width(), image.height()));
    }
    let tolerance = entry["tolerance"].as_u64().unwrap();
    let differences = image.data().iter().zip(&right).map(|(a, b)| u64::from(a.abs_diff(*b)));
    let most = differences.clone().max().unwrap_or(0);
    let beyond = differences.filter(|&difference| difference > tolerance).count();
    (beyond > 0)
        .then(|| format!("{beyond} of {} samples differ, by {most} levels at most", right.len()))
}
