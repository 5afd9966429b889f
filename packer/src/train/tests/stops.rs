//! What was stopped goes on as if there had been no stop, and only where it belongs.

use safetensors::SafeTensors;

use super::*;

#[test]
fn a_run_that_was_stopped_anywhere_ends_with_the_same_bytes() {
    for method in [lora(), dora(), Method::Full] {
        let settings = settings(method);
        let whole = run(&settings, true, None);
        // Mid-epoch, at an epoch's end, at the very end.
        for stop in [1, 3, 5, 10, whole.epochs.len() * steps_per_epoch()] {
            assert_same(&whole, &run(&settings, true, Some(stop)));
        }
    }
}

fn steps_per_epoch() -> usize {
    let (_dir, dataset) = data();
    dataset.hold_out(0.3, 1).unwrap().0.len().div_ceil(5)
}

#[test]
fn a_checkpoint_of_other_settings_or_data_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c");
    let settings = settings(lora());
    let vit = small(Family::Vit);
    let device = Cpu::<f32>::new();
    let parameters = Parameters::new(&device, &vit, 2, None, &settings).unwrap();
    parameters
        .checkpoint(&device, &settings, &Progress::default(), &None)
        .unwrap()
        .save(&Places::default().updated("--out", &path).unwrap(), "f")
        .unwrap();
    assert!(Checkpoint::open(&path, &settings, "f").is_ok());
    let said = |s: &TrainSettings, f: &str| {
        Checkpoint::open(&path, s, f).err().expect("refused").to_string()
    };
    assert!(said(&TrainSettings { seed: 9, ..settings.clone() }, "f").contains("other settings"));
    assert!(said(&settings, "g").contains("other data"));
}

/// So that a training goes on from a checkpoint of another version.
#[test]
fn the_form_of_a_checkpoint_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c");
    let (settings, vit, device) = (settings(lora()), small(Family::Vit), Cpu::<f32>::new());
    let parameters = Parameters::new(&device, &vit, 2, None, &settings).unwrap();
    parameters
        .checkpoint(&device, &settings, &Progress::default(), &None)
        .unwrap()
        .save(&Places::default().updated("--out", &path).unwrap(), "f")
        .unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let header = &metadata.metadata().as_ref().unwrap()["medforge_checkpoint"];
    let settings = serde_json::to_string(&settings).unwrap();
    assert_eq!(
        *header,
        format!(
            "{{\"settings\":{settings},\"progress\":{{\"step\":0,\"loss_sum\":0.0,\"epochs\":[]}},\
             \"best\":null,\"fingerprint\":\"f\"}}"
        )
    );
    let names: Vec<String> = metadata.tensors().into_keys().collect();
    assert_eq!(names.len(), 3 * parameters.lengths().count());
    for (name, _) in parameters.lengths() {
        for part in ["weight", "first", "second"] {
            assert!(names.contains(&format!("{part}/{name}")), "{part}/{name}");
        }
    }
}
