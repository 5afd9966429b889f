//! The gradient against small changes, and on a GPU.

use super::*;
use crate::base::tests::FAMILIES;
use crate::gpu_variants::variants;

/// A small transformer whose features depend on the picture by more than rounding. Those of small
/// random weights do not.
fn lively(family: Family) -> Vit {
    let mut vit = small(family);
    let names: Vec<String> = vit.tensors.keys().cloned().collect();
    for name in names.iter().filter(|name| !name.contains("norm") && name.ends_with(".weight")) {
        vit.change(name, |data| data.iter_mut().for_each(|v| *v *= 12.0));
    }
    vit
}

#[test]
fn a_gpu_finds_the_maps_that_the_processor_finds() {
    for family in FAMILIES {
        let vit = lively(family);
        let module = module(&vit, "q,v,fc2", None);
        let pixels: Vec<f32> = (0..3 * 3 * 144).map(|i| ((i * 37) as f32 * 0.01).sin()).collect();
        let ours = maps(
            &Predictor::new(&Cpu::<f32>::poisoned(), &vit, Some(&module), 12),
            &vit.config,
            &pixels,
            &module.head,
        );
        let ours = ours.unwrap();
        assert!(
            ours.len() == 3 && ours.iter().any(|one| one.map.len() == 9 && one.map.contains(&1.0)),
            "{ours:?}"
        );
        for variant in variants().iter().filter(|variant| !variant.half) {
            let predictor = Predictor::new(&variant.gpu, &vit, Some(&module), 12);
            let theirs = maps(&predictor, &vit.config, &pixels, &module.head).unwrap();
            for (ours, theirs) in ours.iter().zip(&theirs) {
                let apart = ours
                    .map
                    .iter()
                    .zip(&theirs.map)
                    .map(|(a, b)| (a - b).abs())
                    .fold(0.0, f32::max);
                assert!(ours.class == theirs.class && apart < 1e-3, "{family:?}: {apart}");
            }
        }
    }
}

/// Small changes of the pixels change the tokens that enter a block. The logit then changes by as
/// much as the gradient there says.
#[test]
fn the_gradient_at_a_block_is_what_changed_tokens_cost_the_logit() {
    for family in FAMILIES {
        let vit = lively(family);
        let module = module(&vit, "q,v,fc2", None);
        let device = Cpu::<f32>::poisoned();
        let gradient: Vec<f32> =
            (0..vit.config.features()).map(|i| ((i * 5 % 7) as f32 - 3.0) / 3.0).collect();
        let given = [&gradient[..], &gradient[..]].concat();
        for (module, block) in [(Some(&module), 0), (Some(&module), 1), (None, 0), (None, 1)] {
            let predictor = Predictor::new(&device, &vit, module, 12);
            let traced =
                |pixels: &[f32]| predictor.traced(pixels, block, |_| given.clone()).unwrap();
            let product = |a: &[f32], b: &[f32]| {
                a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>()
            };
            let pixels: Vec<f32> =
                (0..2 * 3 * 144).map(|i| ((i * 37) as f32 * 0.01).sin()).collect();
            let [features, _, gradient] = traced(&pixels);
            assert_eq!(
                features,
                predictor.features(&pixels).unwrap(),
                "the leaf changes the features"
            );
            let (mut apart, mut size) = (0.0, 0.0);
            for direction in 1..7 {
                let moved = |step: f32| {
                    let change =
                        |(i, v): (usize, &f32)| v + step * ((i * 31 * direction) as f32).sin();
                    traced(&pixels.iter().enumerate().map(change).collect::<Vec<_>>())
                };
                let ([up, tokens_up, _], [down, tokens_down, _]) = (moved(1e-2), moved(-1e-2));
                let numeric = product(&up, &given) - product(&down, &given);
                let exact = product(&gradient, &tokens_up) - product(&gradient, &tokens_down);
                apart += (numeric - exact).powi(2);
                size += exact.powi(2);
            }
            assert!(size.sqrt() > 1e-3, "{family:?} {block}: {size:e} says nothing");
            assert!(apart.sqrt() < 0.05 * size.sqrt(), "{family:?} {block}: {apart:e} of {size:e}");
        }
    }
}
