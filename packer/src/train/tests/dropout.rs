//! Dropout.

use crate::train::validation::validate;

use super::*;

/// The same weights with and without it.
#[test]
fn dropout_acts_in_training_alone_and_otherwise_at_each_step() {
    let vit = small(Family::Dinov2);
    let loaded = Loaded::new(&vit, false);
    let Examples { images, training: indices, .. } = loaded.examples();
    let device = Cpu::<f32>::poisoned();
    let Method::Lora { rank, alpha, targets, last_layers, .. } = lora() else { panic!() };
    for dora in [false, true] {
        let method = |dropout: f64| {
            settings(Method::Lora {
                rank,
                alpha,
                targets: targets.clone(),
                last_layers,
                dora,
                dropout,
            })
        };
        let (with, without) = (method(0.5), method(0.0));
        let mut dropping = Training::new(&device, &vit, 2, None, &with).unwrap();
        let pixels: Vec<f32> = (0..6 * 192).map(|i| (i as f32 * 0.37).sin()).collect();
        let labels = [0, 1, 0, 1, 1, 0];
        for step in 1..=3 {
            dropping.step(&pixels, &labels, 1e-2, step);
        }
        let reached =
            dropping.parameters.checkpoint(&device, &with, &Progress::default(), &None).unwrap();
        let mut whole = Training::new(&device, &vit, 2, None, &without).unwrap();
        whole.parameters.restore(&device, &reached).unwrap();
        assert_eq!(
            validate(&dropping, images, indices).unwrap(),
            validate(&whole, images, indices).unwrap()
        );
        let loss = |run: &Training<Cpu<f32>>, step: u64| {
            device.download(&run.gradients(&pixels, &labels, step, 0).0).unwrap()[0]
        };
        assert_eq!(loss(&dropping, 4), loss(&dropping, 4));
        assert!(loss(&dropping, 4) != loss(&dropping, 5) && loss(&dropping, 4) != loss(&whole, 4));
        assert_eq!(loss(&whole, 4), loss(&whole, 5));
    }
}
