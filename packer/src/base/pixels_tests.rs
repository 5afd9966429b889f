//! Resized and cropped pixels against those of transformers' image processors and timm's transforms
//! (`tests/parity/golden.py`).

use std::fs;
use std::path::Path;

use medforge_runtime::image::RgbView;
use serde_json::{Value, json};

use super::config;
use super::file::File;
use super::timm;
use super::vit_config::VitConfig;

/// Ramps of different steepness that jump from white to black, with a fine grain: golden.py's
/// `pattern`.
fn pattern(width: usize, height: usize) -> Vec<u8> {
    let value = |x: usize, y: usize, c: usize| {
        (x * (13 + 7 * c) * 40 / width + y * (29 - 5 * c) * 40 / height + x * y % 7 * 3) % 256
    };
    let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    places.flat_map(|(x, y)| [0, 1, 2].map(|c| value(x, y, c) as u8)).collect()
}

#[test]
fn pixels_are_those_of_transformers_and_timm_to_one_grey_level() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/preprocessing.json");
    let cases: Vec<Value> = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let shape = r#"{"model_type":"vit","hidden_size":8,"num_hidden_layers":1,
        "num_attention_heads":2,"image_size":8,"patch_size":4,"intermediate_size":8}"#;
    for case in &cases {
        let pair = |key: &str| -> [u32; 2] { serde_json::from_value(case[key].clone()).unwrap() };
        let mut settings = case["config"].clone();
        let preprocessing = match settings["input_size"][1].as_u64() {
            Some(side) => {
                let bytes = serde_json::to_vec(&settings).unwrap();
                timm::preprocessing::preprocessing(
                    &File::parse("config.json".into(), &bytes).unwrap(),
                    &VitConfig { image_size: side as usize, patch: 1, ..VitConfig::PLAIN },
                )
                .unwrap()
            }
            None => {
                (settings["image_mean"], settings["image_std"]) =
                    (json!([0.5, 0.5, 0.5]), json!([0.5, 0.5, 0.5]));
                config::parse(
                    Path::new(""),
                    shape.as_bytes(),
                    &serde_json::to_vec(&settings).unwrap(),
                )
                .unwrap()
                .1
            }
        };
        let [width, height] = pair("image");
        let image = pattern(width as usize, height as usize);
        let view = RgbView::new(&image, width, height, 3 * width as usize).unwrap();
        let ours = preprocessing.resized(&view).unwrap();
        assert_eq!([ours.width(), ours.height()], pair("output"), "{case}");
        let theirs = hex::decode(case["pixels"].as_str().unwrap()).unwrap();
        let (theirs, count) = (theirs.as_chunks::<3>().0, (ours.width() * ours.height()) as usize);
        for (i, expected) in theirs.iter().enumerate() {
            let at = i * (count - 1) / (theirs.len() - 1);
            let found = &ours.data()[3 * at..][..3];
            let off = expected.iter().zip(found).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(off <= Some(1), "pixel {at}: {found:?}, not {expected:?} in {case}");
        }
    }
}
