//! Condensed sets: what reads back, and what is refused.

use super::*;
use medforge_runtime::preprocess::{CropOffset, Filter, Resize, Size};

/// A set of two images of 4 x 4 and two classes.
pub fn set() -> Condensed {
    let side = Size { height: 4, width: 4 };
    let record = Record {
        format: Record::FORMAT.into(),
        version: Record::VERSION,
        task: "t".into(),
        classes: vec!["a".into(), "b".into()],
        per_class: 1,
        image_size: 4,
        base_digest: "0".into(),
        preprocessing: Preprocessing {
            resize: Resize::Exact(side),
            filter: Filter::Bicubic,
            crop: None,
            crop_offset: CropOffset::Floor,
            rescale: 1.0 / 255.0,
            mean: [0.5, 0.4, 0.3],
            std: [0.5, 0.25, 0.125],
        },
        start: Start::Noise,
        labels: Labels::Hard,
        real_images: Some(7),
        real_groups: Some(5),
        module: None,
        settings: serde_json::json!({"iterations": 3}),
        loss: [2.0, 1.0],
        privacy: None,
    };
    let images = (0..96).map(|i| i as f32 / 96.0).collect();
    Condensed { record, images, labels: vec![1.0, 0.0, 0.25, 0.75] }
}

fn stored(set: &Condensed) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in set.files().unwrap() {
        std::fs::write(dir.path().join(name), bytes).unwrap();
    }
    dir
}

#[test]
fn a_set_reads_back_as_it_was_rounded() {
    let set = set();
    let dir = stored(&set);
    let read = Condensed::open(dir.path()).unwrap();
    let expected = set.rounded();
    assert_eq!(
        (&read.record, &read.images, &read.labels),
        (&expected.record, &expected.images, &expected.labels)
    );
    assert_eq!((read.len(), read.classes()), (2, vec![0, 1]));
}

#[test]
fn pixels_are_normalised_and_shown_by_channel() {
    let set = set();
    let normalised = set.normalised();
    assert!((normalised[0] + 1.0).abs() < 1e-6);
    assert!((f64::from(normalised[16 + 3]) - (19.0 / 96.0 - 0.4) / 0.25).abs() < 1e-6);
    assert_eq!(set.rgb(0)[..4], [0, 43, 85, 3]);
}

#[test]
fn what_does_not_fit_is_refused_with_its_place() {
    // The tensors are written as they are, the record as it was changed.
    let case = |change: &dyn Fn(&mut Condensed)| {
        let mut changed = set();
        change(&mut changed);
        let dir = stored(&Condensed { record: set().record, ..changed.clone() });
        std::fs::write(
            dir.path().join(Condensed::MARKER),
            serde_json::to_vec(&changed.record).unwrap(),
        )
        .unwrap();
        Condensed::open(dir.path()).unwrap_err().to_string()
    };
    assert!(case(&|s| s.images[50] = 1.5).contains("image 1 holds 1.5"));
    assert!(case(&|s| s.images[3] = -0.01).contains("image 0"));
    assert!(case(&|s| s.labels[2] = 0.5).contains("row 1 of labels"));
    assert!(case(&|s| s.record.version = 2).contains("version 2"));
    assert!(case(&|s| s.record.classes.push("c".into())).contains("labels has shape"));
    assert!(case(&|s| s.record.classes.truncate(1)).contains("fewer than two"));
    assert!(case(&|s| s.record.image_size = 8).contains("no images of 8"));
    let dir = stored(&set());
    let path = dir.path().join(Condensed::MARKER);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("\"task\"", "\"tusk\"", 1)).unwrap();
    assert!(Condensed::open(dir.path()).unwrap_err().to_string().contains("tusk"));
    std::fs::remove_file(dir.path().join("condensed.safetensors")).unwrap();
    std::fs::write(&path, text).unwrap();
    assert!(Condensed::open(dir.path()).unwrap_err().to_string().contains("condensed.safetensors"));
}
