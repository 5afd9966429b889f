//! The colour floor on real images is what scikit-learn reaches on the same splits. Needs the
//! folder in `MEDFORGE_SHARED` (default `../shared`); says so and checks nothing where that is not
//! there.

use std::path::PathBuf;

use medforge_packer::base::Vit;
use medforge_packer::data::{Colour, Dataset, Images, Split};
use medforge_packer::eval::floors;
use medforge_packer::eval::metrics::{Metric, Predictions};

/// Balanced accuracy on the test split by scikit-learn 1.9: LogisticRegression(max_iter=2000,
/// class_weight="balanced").
const EXPECTED: [(&str, f64); 4] =
    [("breast", 0.840), ("lung", 0.915), ("colon", 0.888), ("chest", 0.603)];

#[test]
fn the_colour_floor_is_that_of_scikit_learn() {
    let shared = std::env::var_os("MEDFORGE_SHARED").unwrap_or_else(|| "../shared".into());
    let shared = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(shared);
    if !shared.join("models/vits14").is_dir() {
        println!("no {}: nothing is checked", shared.display());
        return;
    }
    let base = Vit::open(&shared.join("models/vits14")).unwrap();
    let preprocessing = base.preprocessing_for(56).unwrap();
    for (task, expected) in EXPECTED {
        let data = Dataset::open(&shared.join("data").join(task)).unwrap();
        let load = |split| Images::load(&data, &data.indices(split), &preprocessing).unwrap();
        let (train, test) = (load(Split::Train), load(Split::Test));
        let colours =
            |images: &Images| images.colours().iter().map(Colour::features).collect::<Vec<_>>();
        let classes = data.classes.len();
        let floor =
            floors::colour(&colours(&train), train.labels(), &colours(&test), classes).unwrap();
        let found =
            Predictions::new(&floor, test.labels(), classes).unwrap().metrics(&vec![1; test.len()]);
        let balanced = Metric::ALL.iter().position(|&m| m == Metric::BalancedAccuracy).unwrap();
        let balanced = found[balanced].unwrap();
        assert!((balanced - expected).abs() < 6e-4, "{task}: {balanced} is not {expected}");
    }
}
