//! Steps of the optimiser.

use crate::device::{AdamW, Device, Update};

use super::*;

/// In f16 a step whose gradient is not finite is left out, and the loss scale halved.
#[test]
fn a_gradient_that_is_not_finite_leaves_the_step_out() {
    for variant in variants().iter().filter(|v| v.half) {
        let number = Some(variant.gpu.engine.adapter.index);
        let d =
            &Gpu::open(Options { number, half: true, poison: true, ..Options::default() }).unwrap();
        let scale = || d.download(&d.loss_gradient()).unwrap()[0];
        let (mut weight, mut m, mut v) = (d.upload(&[1.0, 2.0]), d.zeros(2), d.zeros(2));
        let before = scale();
        for (broken, left) in [(f32::INFINITY, 0.5), (f32::NAN, 0.25), (1.0, 0.25)] {
            let gradient = d.upload(&[broken, 1.0]);
            let settings = AdamW {
                learning_rate: 0.1,
                beta1: 0.9,
                beta2: 0.999,
                epsilon: 1e-8,
                weight_decay: 0.0,
                step: 1,
            };
            let state = [&mut m, &mut v];
            d.adamw(settings, vec![Update { weight: &mut weight, gradient: &gradient, state }]);
            assert_eq!(scale() / before, left);
            let moved = d.download(&weight).unwrap() != [1.0, 2.0];
            assert_eq!(moved, broken.is_finite());
        }
    }
}

#[test]
fn adamw() {
    let len = 333;
    let (w, g) = (numbers(len, 1), numbers(len, 2));
    for variant in variants().iter().filter(|v| !v.half) {
        fn run<D: Device>(d: &D, w: &[f32], g: &[f32]) -> Vec<Vec<f32>> {
            let (mut weight, mut m, mut v) = (d.upload(w), d.zeros(w.len()), d.zeros(w.len()));
            let shared = weight.clone();
            for step in 1..=3 {
                let settings = AdamW {
                    learning_rate: 0.1,
                    beta1: 0.9,
                    beta2: 0.999,
                    epsilon: 1e-8,
                    weight_decay: 0.01,
                    step,
                };
                let gradient = d.upload(&g.iter().map(|g| g * step as f32).collect::<Vec<_>>());
                let state = [&mut m, &mut v];
                d.adamw(settings, vec![Update { weight: &mut weight, gradient: &gradient, state }]);
            }
            [weight, m, v, shared].iter().map(|b| d.download(b).unwrap()).collect()
        }
        let exact = run(&Cpu::<f64>::poisoned(), &w, &g);
        compare(&variant.name, false, 2e-5, &run(&variant.gpu, &w, &g), &exact);
    }
}
