//! The examples of `runtime/examples` over the corpus: what they print, and what they refuse.

use std::path::{Path, PathBuf};

#[path = "../runtime/examples/classify.rs"]
#[expect(dead_code, reason = "its main is for the command line")]
mod classify;
#[path = "../runtime/examples/swap_while_serving.rs"]
#[expect(dead_code, reason = "its main is for the command line")]
mod swap_while_serving;
#[path = "../runtime/examples/verify_only.rs"]
#[expect(dead_code, reason = "its main is for the command line")]
mod verify_only;

fn corpus(name: &str) -> String {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus");
    corpus.join(name).display().to_string()
}

fn good() -> [String; 2] {
    [corpus("good.medforge"), corpus("trust.toml")]
}

/// A picture of noise, as PNG.
fn picture(dir: &Path) -> PathBuf {
    let data: Vec<u8> = (0..21 * 17 * 3).map(|i| (i * 7 % 251) as u8).collect();
    let path = dir.join("picture.png");
    image::RgbImage::from_raw(21, 17, data).unwrap().save(&path).unwrap();
    path
}

#[test]
fn a_bundle_is_verified_without_being_loaded() {
    let said = verify_only::run(&good()).unwrap();
    assert!(said.starts_with("bundle corpus ") && said.contains("signed by alice\n"), "{said}");
    assert!(said.ends_with(" for breast\n"), "{said}");
    let bad = [corpus("wrong_key/bundle.medforge"), corpus("trust.toml")];
    let error = verify_only::run(&bad).unwrap_err();
    let refused = error.downcast_ref::<medforge_runtime::Error>().unwrap();
    assert!(refused.is_refusal(), "{refused}");
}

#[test]
fn an_image_is_classified() {
    let dir = tempfile::tempdir().unwrap();
    let picture = picture(dir.path()).display().to_string();
    let [bundle, trust] = good();
    let arguments = [bundle, trust, picture];
    let said = classify::run(&arguments).unwrap();
    let lines: Vec<_> = said.lines().map(|line| line.split_once(' ').unwrap()).collect();
    assert_eq!(lines.iter().map(|line| line.0).collect::<Vec<_>>(), ["benign", "malignant"]);
    let sum: f64 = lines.iter().map(|line| line.1.parse::<f64>().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-5, "{said}");
    let unknown = [&arguments[..], &["lung".to_owned()]].concat();
    assert!(classify::run(&unknown).unwrap_err().to_string().contains("lung"));
}

#[test]
fn modules_are_swapped_while_a_thread_classifies() {
    let dir = tempfile::tempdir().unwrap();
    let picture = picture(dir.path()).display().to_string();
    let [bundle, trust] = good();
    let said = swap_while_serving::run(&[trust, picture, bundle]).unwrap();
    assert!(said.lines().count() > 0, "{said}");
    assert!(said.lines().all(|line| line.contains(" images by composition ")), "{said}");
}
