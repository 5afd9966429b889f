//! What does not fit is named, and fusion is a sum.

use std::collections::BTreeMap;

use super::super::base::Factors;
use super::super::graph::SiteWidths;
use super::*;
use crate::bundle::manifest;
use crate::tensors::Tensor;

fn site() -> BTreeMap<String, SiteWidths> {
    BTreeMap::from([("q".to_owned(), SiteWidths { inputs: 2, outputs: 3, scalable: true })])
}

fn stated(rank: u32) -> manifest::Module {
    manifest::Module {
        id: "0".repeat(64),
        contributor: "c".into(),
        task: "t".into(),
        rank,
        sites: vec!["q".into()],
        licence: "MIT".into(),
        base: "0".repeat(64),
        entry: "modules/m.safetensors".into(),
    }
}

fn tensors(parts: &[(&str, &[usize])]) -> BTreeMap<String, Tensor> {
    let fill = |shape: &[usize]| (1..=shape.iter().product::<usize>()).map(|v| v as f32).collect();
    parts
        .iter()
        .map(|(name, shape)| ((*name).to_owned(), Tensor::f32(shape.to_vec(), fill(shape))))
        .collect()
}

#[test]
fn every_tensor_that_does_not_fit_is_named() {
    let wrong = tensors(&[("q.lora_a", &[5, 1]), ("k.lora_a", &[2, 1]), ("lora", &[1])]);
    let error = module(&stated(1), wrong, &site()).unwrap_err().to_string();
    for part in [
        "q.lora_a has shape [5, 1], not [2, 1]",
        "q.lora_b is missing",
        "k.lora_a is not",
        "lora is not",
    ] {
        assert!(error.contains(part), "{error} does not say: {part}");
    }
    let good = tensors(&[("q.lora_a", &[2, 1]), ("q.lora_b", &[1, 3])]);
    assert!(
        module(&stated(2), good.clone(), &site())
            .unwrap_err()
            .to_string()
            .contains("largest rank is 1")
    );
    let scaled = |shape: &[usize]| {
        tensors(&[("q.lora_a", &[2, 1]), ("q.lora_b", &[1, 3]), ("q.lora_scale", shape)])
    };
    assert_eq!(
        module(&stated(1), scaled(&[3]), &site()).unwrap()["q"].magnitude_scale,
        Some(vec![1., 2., 3.])
    );
    let error = module(&stated(1), scaled(&[2]), &site()).unwrap_err().to_string();
    assert!(error.contains("q.lora_scale has shape [2], not [3]"), "{error}");
    let older = BTreeMap::from([("q".to_owned(), SiteWidths { scalable: false, ..site()["q"] })]);
    let error = module(&stated(1), scaled(&[3]), &older).unwrap_err().to_string();
    assert!(
        error.contains("q.lora_scale is there, and the base's graph takes none; pack"),
        "{error}"
    );
    assert!(module(&stated(1), good.clone(), &older).is_ok());
    assert!(
        module(&stated(1), good, &BTreeMap::new())
            .unwrap_err()
            .to_string()
            .contains("site q is not in the base")
    );
}

#[test]
fn a_head_of_texts_has_a_scale_and_no_bias() {
    let stated = |zero_shot: &[&str]| manifest::Head {
        task: "t".into(),
        entry: "heads/t.safetensors".into(),
        classes: vec!["a".into(), "b".into()],
        zero_shot: zero_shot.iter().map(|class| (*class).to_owned()).collect(),
        codes: Vec::new(),
        calibration: None,
    };
    let texts = tensors(&[("weight", &[2, 3]), ("logit_scale", &[1])]);
    let read = head(&stated(&["b"]), texts, 3).unwrap();
    assert_eq!((read.logit_scale, read.bias), (Some(1.0), vec![0.0; 2]));
    let linear = tensors(&[("weight", &[2, 3]), ("bias", &[2])]);
    assert_eq!(head(&stated(&[]), linear.clone(), 3).unwrap().logit_scale, None);
    let refused = |stated, tensors| head(&stated, tensors, 3).err().unwrap().to_string();
    assert!(refused(stated(&["b"]), linear).contains("logit_scale is missing"));
    let both = tensors(&[("weight", &[2, 3]), ("bias", &[2]), ("logit_scale", &[1])]);
    assert!(refused(stated(&[]), both).contains("bias is not in the manifest"));
}

#[test]
fn fusion_is_the_weighted_sum_of_the_deltas() {
    let one = BTreeMap::from([(
        "q".to_owned(),
        Factors { rank: 1, a: vec![1., 2.], b: vec![3., 4., 5.], magnitude_scale: None },
    )]);
    let two = BTreeMap::from([(
        "q".to_owned(),
        Factors {
            rank: 2,
            a: vec![1., 0., 0., 1.],
            b: vec![1., 1., 1., 2., 2., 2.],
            magnitude_scale: None,
        },
    )]);
    let fused = fused(&[(&one, 0.5), (&two, -1.0)], &site());
    let Factors { rank, a, b, .. } = &fused["q"];
    let delta =
        |i: usize, o: usize| (0..*rank).map(|r| a[i * rank + r] * b[r * 3 + o]).sum::<f32>();
    for (i, o) in (0..2).flat_map(|i| (0..3).map(move |o| (i, o))) {
        let expected = 0.5 * [1., 2.][i] * [3., 4., 5.][o] - [1., 2.][i];
        assert_eq!(delta(i, o), expected, "at {i}, {o}");
    }
}
