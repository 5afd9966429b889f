//! Ten steps from the same start, with the same batches and the same optimiser, against PyTorch and
//! PEFT (`tests/parity/golden.py`).

use crate::base::sites_of_adapter_path;
use crate::parity::{FAMILIES, bases, distance, folder, golden};

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

/// Ten steps of `kind` from the start that golden.safetensors has, at the sites that it has factors
/// for.
fn follow(name: &str, vit: &Vit, golden: &BTreeMap<String, Tensor>, kind: &str, inputs: &Inputs) {
    let start = factors(vit, golden, &format!("train.{kind}.start."));
    let lora = Method::Lora {
        rank: 2,
        alpha: 3.0,
        targets: targets(&start),
        last_layers: None,
        dora: kind == "dora",
        dropout: 0.0,
    };
    let settings = TrainSettings { weight_decay: 0.01, size: inputs.side, ..settings(lora) };
    let device = Cpu::<f32>::poisoned();
    let mut run = Training::new(&device, vit, 3, None, &settings).unwrap();
    let mut weights = zeros(&run.parameters.weights(&device).unwrap());
    assert_eq!(start.len() + 2, weights.len(), "{name} {kind}");
    weights.extend(start.clone());
    let (first, second) = (zeros(&weights), zeros(&weights));
    let progress = Progress::default();
    let checkpoint = Checkpoint { settings: settings.clone(), progress, weights, first, second };
    run.parameters.restore(&device, &checkpoint).unwrap();

    let length = 2 * 3 * inputs.side * inputs.side;
    let mut loss = f32::NAN;
    let batches = inputs.pixels.chunks_exact(length).zip(inputs.labels.chunks_exact(2));
    for (step, (pixels, labels)) in batches.enumerate() {
        let labels: Vec<u32> = labels.iter().map(|&label| label as u32).collect();
        loss = device.download(&run.step(pixels, &labels, 1e-2, step as u64 + 1)).unwrap()[0];
    }
    let error = (loss - golden[&format!("train.{kind}.loss")].data[0]).abs();
    assert!(error < 1e-4, "{name} {kind}: loss {loss}");
    let ours = run.parameters.weights(&device).unwrap();
    let mut theirs = factors(vit, golden, &format!("train.{kind}.end."));
    for half in ["head.weight", "head.bias"] {
        theirs.insert(half.to_owned(), golden[&format!("train.{kind}.end.{half}")].clone());
    }
    assert_eq!(theirs.len(), ours.len());
    for (tensor, theirs) in theirs {
        let error = distance(&ours[&tensor].data, &theirs.data);
        assert!(error < 1e-4, "{name} {kind} {tensor}: {error:e}");
        let before =
            start.get(&tensor).is_none_or(|start| distance(&start.data, &theirs.data) > 0.01);
        assert!(before, "{name} {tensor} was hardly trained");
    }
}

/// Images of a training, two a step.
struct Inputs<'a> {
    side: usize,
    pixels: &'a [f32],
    labels: &'a [f32],
}

/// What `--targets` calls the layers that have factors.
fn targets(factors: &BTreeMap<String, Tensor>) -> String {
    let layer = |name: &String| {
        let site = name.rsplit_once('.')?.0;
        let layer = site.rsplit('.').next()?.to_owned();
        Some(if site.starts_with("pool.") { format!("pool.{layer}") } else { layer })
    };
    let layers: std::collections::BTreeSet<String> = factors.keys().filter_map(layer).collect();
    layers.into_iter().collect::<Vec<_>>().join(",")
}

#[test]
fn ten_steps_of_lora_and_of_dora_are_those_of_peft() {
    for family in FAMILIES {
        let (vit, golden) = (Vit::open(&folder(family)).unwrap(), golden(family));
        let [pixels, labels] = ["train.pixels", "train.labels"].map(|name| &golden[name].data);
        for kind in ["lora", "dora"] {
            follow(family, &vit, &golden, kind, &Inputs { side: 8, pixels, labels });
        }
    }
}

#[test]
fn ten_steps_on_the_bases_of_more_families_are_those_of_peft() {
    let inputs = bases::inputs();
    let [pixels, labels] = ["train.pixels", "train.labels"].map(|name| &inputs[name].data);
    let mut followed = 0;
    for case in bases::cases() {
        let vit = case.open(None).unwrap();
        for kind in case.texts("trained") {
            follow(&case.name, &vit, &case.golden, kind, &Inputs { side: 16, pixels, labels });
            followed += 1;
        }
    }
    assert!(followed > 3, "{followed}");
}
