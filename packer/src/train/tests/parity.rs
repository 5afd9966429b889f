//! Ten steps from the same start, with the same batches and the same optimiser, against PyTorch and
//! PEFT (`tests/parity/golden.py`).

use crate::base::sites_of_adapter_path;
use crate::parity::{FAMILIES, distance, folder, golden};

use super::*;

/// The factors that golden.safetensors has under `prefix`, by packer's names.
fn factors(vit: &Vit, golden: &BTreeMap<String, Tensor>, prefix: &str) -> BTreeMap<String, Tensor> {
    let own = golden.iter().filter_map(|(name, tensor)| Some((name.strip_prefix(prefix)?, tensor)));
    let renamed = own.filter(|(name, _)| !name.starts_with("head.")).map(|(name, tensor)| {
        let (layer, half) = name.strip_suffix(".weight").unwrap().rsplit_once('.').unwrap();
        let site = sites_of_adapter_path(&vit.config, layer).swap_remove(0);
        (format!("{site}.{}", half.to_lowercase()), tensor.clone())
    });
    renamed.collect()
}

/// Tensors of the same shapes, all zero.
fn zeros(tensors: &BTreeMap<String, Tensor>) -> BTreeMap<String, Tensor> {
    let zero = |(name, t): (&String, &Tensor)| {
        (name.clone(), Tensor::f32(t.shape.clone(), vec![0.0; t.data.len()]))
    };
    tensors.iter().map(zero).collect()
}

#[test]
fn ten_steps_of_lora_and_of_dora_are_those_of_peft() {
    for (family, kind) in
        FAMILIES.into_iter().flat_map(|family| [(family, "lora"), (family, "dora")])
    {
        let dora = kind == "dora";
        let (vit, golden) = (Vit::open(&folder(family)).unwrap(), golden(family));
        let targets = if family == "clip" { "q,v,projection" } else { "q,v" };
        let lora = Method::Lora {
            rank: 2,
            alpha: 3.0,
            targets: targets.into(),
            last_layers: None,
            dora,
            dropout: 0.0,
        };
        let settings = TrainSettings { weight_decay: 0.01, ..settings(lora) };
        let device = Cpu::<f32>::poisoned();
        let mut run = Training::new(&device, &vit, 3, None, &settings).unwrap();
        let mut weights = zeros(&run.parameters.weights(&device).unwrap());
        let start = factors(&vit, &golden, &format!("train.{kind}.start."));
        assert_eq!(start.len() + 2, weights.len());
        weights.extend(start.clone());
        let (first, second) = (zeros(&weights), zeros(&weights));
        let progress = Progress::default();
        let checkpoint =
            Checkpoint { settings: settings.clone(), progress, weights, first, second };
        run.parameters.restore(&device, &checkpoint).unwrap();

        let (pixels, labels) = (&golden["train.pixels"], &golden["train.labels"]);
        let mut loss = f32::NAN;
        for step in 0..pixels.shape[0] {
            let pixels = &pixels.data[step * 2 * 192..][..2 * 192];
            let labels: Vec<u32> =
                labels.data[step * 2..][..2].iter().map(|&label| label as u32).collect();
            loss = device.download(&run.step(pixels, &labels, 1e-2, step as u64 + 1)).unwrap()[0];
        }
        assert!(
            (loss - golden[&format!("train.{kind}.loss")].data[0]).abs() < 1e-4,
            "{family} {kind}: loss {loss}"
        );
        let ours = run.parameters.weights(&device).unwrap();
        let mut theirs = factors(&vit, &golden, &format!("train.{kind}.end."));
        for half in ["head.weight", "head.bias"] {
            theirs.insert(half.to_owned(), golden[&format!("train.{kind}.end.{half}")].clone());
        }
        assert_eq!(theirs.len(), ours.len());
        for (name, theirs) in theirs {
            let error = distance(&ours[&name].data, &theirs.data);
            assert!(error < 1e-4, "{family} {kind} {name}: {error:e}");
            let before =
                start.get(&name).is_none_or(|start| distance(&start.data, &theirs.data) > 0.01);
            assert!(before, "{family} {name} was hardly trained");
        }
    }
}
