//! What version 1 of the format wrote is read by every later version: verified, loaded, classified
//! with, merged from.

use std::fs;
use std::path::{Path, PathBuf};

use medforge_packer::base::Vit;
use medforge_packer::contribution::Contribution;
use medforge_runtime::bundle::{Trust, verify};
use medforge_runtime::classify::Classifier;
use medforge_runtime::image::RgbView;

fn frozen(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/frozen").join(name)
}

fn trust() -> Trust {
    Trust::read(&fs::read(frozen("k.pub")).unwrap()).unwrap()
}

#[test]
fn the_frozen_bundle_verifies_and_classifies() {
    let bundle = verify(fs::read(frozen("bundle.medforge")).unwrap(), &trust()).unwrap();
    assert_eq!(bundle.id(), "75b2f0f5c131d43e8dae9b4551d7ba920401aa29f9874645c50919ac77d4df28");
    let classifier = Classifier::load(bundle).unwrap();
    let pixels: Vec<u8> = (0..16 * 16 * 3).map(|i| (i * 7 % 251) as u8).collect();
    let found = classifier.classify(RgbView::new(&pixels, 16, 16, 48).unwrap(), None).unwrap();
    assert_eq!((found.task.as_str(), found.probabilities.len()), ("tissue", 3));
}

#[test]
fn the_frozen_contribution_opens() {
    let base = Vit::open(&frozen("base")).unwrap().identity();
    let place = frozen("hospital.contribution");
    let contribution =
        Contribution::open(&place, fs::read(&place).unwrap(), &trust(), &base).unwrap();
    assert_eq!(
        contribution.id(),
        "636be1182b6980a9896e723374295c33c1c7f7bf6c0ddc6aa69f6938f983c4e3"
    );
    assert_eq!(
        (contribution.manifest().contributor.as_str(), contribution.manifest().task.as_str()),
        ("hospital a", "tissue")
    );
}
