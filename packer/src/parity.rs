//! The results of transformers, timm and PEFT with small models of every family, as numbers in
//! `tests/golden` (`tests/parity/golden.py`).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use medforge_runtime::tensors::{self, Tensor};

use crate::base::Vit;
use crate::device::cpu::Cpu;
use crate::input;
use crate::lora::peft;
use crate::predict::Predictor;

pub(crate) mod bases;

pub(crate) const FAMILIES: [&str; 3] = ["clip", "dinov2", "vit"];

/// Folders in timm's format.
const TIMM: [&str; 2] = ["timm/vit", "timm/dinov2"];

pub(crate) fn folder(family: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden").join(family)
}

pub(crate) fn golden(family: &str) -> BTreeMap<String, Tensor> {
    let path = folder(family).join("golden.safetensors");
    tensors::read(&fs::read(&path).unwrap(), "golden.safetensors").unwrap()
}

/// ||a - b|| / ||b||
pub(crate) fn distance(a: &[f32], b: &[f32]) -> f64 {
    assert_eq!(a.len(), b.len());
    let norm = |of: &dyn Fn(usize) -> f32| {
        (0..a.len()).map(|i| f64::from(of(i)).powi(2)).sum::<f64>().sqrt()
    };
    norm(&|i| a[i] - b[i]) / norm(&|i| b[i])
}

#[test]
fn the_base_computes_what_transformers_and_timm_do() {
    for family in FAMILIES.into_iter().chain(TIMM) {
        let (vit, golden) = (Vit::open(&folder(family)).unwrap(), golden(family));
        let ours = Predictor::new(&Cpu::<f32>::poisoned(), &vit, None, 8)
            .features(&golden["pixels"].data)
            .unwrap();
        let distance = distance(&ours, &golden["feature"].data);
        assert!(distance < 1e-5, "{family}: {distance:e}");
    }
}

#[test]
fn adapters_that_peft_wrote_compute_what_they_do_there() {
    for family in FAMILIES.into_iter().chain(TIMM) {
        let (vit, golden) = (Vit::open(&folder(family)).unwrap(), golden(family));
        for adapter in ["lora", "rslora", "patterns", "dora"] {
            let place = folder(family).join(adapter);
            let peft::Adapter { rank, alpha, mut sites, .. } =
                peft::read(&place, input::folder(&place), &vit.config).unwrap();
            let scale = (alpha / rank as f64) as f32;
            sites.values_mut().for_each(|f| f.b.data.iter_mut().for_each(|b| *b *= scale));
            let predictor = Predictor::changed(&Cpu::<f32>::poisoned(), &vit, &sites, 8);
            let ours = predictor.features(&golden["pixels"].data).unwrap();
            let theirs = &golden[&format!("{adapter}.feature")].data;
            let error = distance(&ours, theirs);
            assert!(error < 1e-5, "{family} {adapter}: {error:e}");
            assert!(
                distance(theirs, &golden["feature"].data) > 0.01,
                "{family} {adapter} changes nothing"
            );
        }
    }
}
