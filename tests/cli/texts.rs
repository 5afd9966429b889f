//! Heads of texts: from a CLIP with its tokenizer to a bundle with an untrained class.

use serde_json::Value;

use super::*;

const CLIP: &str = "train --base clip --data data --task tissue --epochs 2 --batch 8 --rank 2 --lr \
                    0.01 --targets q,v,projection";
const TEXTS: &str = "--head text --class-text regular=benign --class-text regular=tissue,benign \
                     --class-text atypical=odd --class-text invasive=cancer";

/// A workshop with the golden CLIP.
fn clip() -> tempfile::TempDir {
    let dir = workshop();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/clip");
    std::fs::create_dir(dir.path().join("clip")).unwrap();
    for name in
        ["config.json", "preprocessor_config.json", "model.safetensors", "vocab.json", "merges.txt"]
    {
        std::fs::copy(golden.join(name), dir.path().join("clip").join(name)).unwrap();
    }
    dir
}

#[test]
fn a_head_of_texts_is_trained_under_packed_and_given_a_class() {
    let dir = clip();
    let at = dir.path();
    good(at, &format!("{CLIP} {TEXTS} --out m"));
    let card: Value =
        serde_json::from_slice(&std::fs::read(at.join("m/module.json")).unwrap()).unwrap();
    assert_eq!(card["class_texts"]["regular"], serde_json::json!(["benign", "tissue,benign"]));
    good(at, "eval --base clip --module m --data data --resamples 100 --record");

    good(at, "bundle --base clip --module m --key k.key --out two.medforge");
    good(
        at,
        "bundle --base clip --module m --key k.key --out three.medforge --class-text \
         tissue:mucus=mucus",
    );
    assert!(!good(at, "inspect two.medforge").contains("without training"));
    let said = good(at, "inspect three.medforge");
    assert!(said.contains("atypical, invasive, regular, mucus (without training)"), "{said}");
    // The result was measured without the class.
    assert!(
        good(at, "inspect two.medforge").contains("balanced_accuracy")
            && !said.contains("balanced_accuracy")
    );

    let image = &test_images(at)[0].0;
    let [two, three] = ["two", "three"].map(|bundle| -> Vec<f64> {
        let said = good(at, &format!("classify {bundle}.medforge --trust k.pub --json {image}"));
        let said: Value = serde_json::from_str(&said).unwrap();
        let all = said[0]["probabilities"].as_array().unwrap().iter();
        all.map(|p| p["probability"].as_f64().unwrap()).collect()
    });
    // One more class takes some probability and keeps the ratio of the others.
    assert_eq!((two.len(), three.len()), (3, 4));
    assert!((three[0] / three[1] / (two[0] / two[1]) - 1.0).abs() < 1e-3, "{two:?} {three:?}");
}

#[test]
fn texts_that_do_not_fit_are_refused() {
    let dir = clip();
    let at = dir.path();
    let refused = |arguments: &str| refused(at, 1, &format!("{CLIP} --out m {arguments}"));
    assert!(refused("--head text").contains("--class-text for every class"));
    assert!(refused("--class-text regular=r").contains("--head text too"));
    assert!(refused("--head text --class-text regular").contains("is not CLASS=TEXT"));
    assert!(
        refused("--head text --class-text regular=r")
            .contains("says nothing of the class atypical")
    );
    let said = refused(&format!("{TEXTS} --class-text mucus=m"));
    assert!(said.contains("class mucus") && said.contains("atypical, invasive, regular"), "{said}");
    std::fs::remove_file(at.join("clip/merges.txt")).unwrap();
    assert!(refused(TEXTS).contains("clip/tokenizer.json: is missing"));

    good(at, &format!("{TRAIN} --out m"));
    let linear = super::refused(
        at,
        1,
        "bundle --base base --module m --key k.key --out b --class-text tissue:x=x",
    );
    assert!(linear.contains("no text tower"), "{linear}");
    good(at, &format!("{CLIP} --out n"));
    std::fs::copy(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/clip/merges.txt"),
        at.join("clip/merges.txt"),
    )
    .unwrap();
    let pack = |text: &str| {
        super::refused(
            at,
            1,
            &format!("bundle --base clip --module n --key k.key --out b --class-text {text}"),
        )
    };
    assert!(pack("tissue:x=x").contains("linear head"));
    assert!(pack("lung:x=x").contains("no module is for it"));
    assert!(pack("x=x").contains("TASK:CLASS=TEXT"));
}
