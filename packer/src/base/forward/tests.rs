//! Networks of every kind against the same in plain loops, and their gradients against differences.

use std::collections::BTreeMap;

use medforge_runtime::vit::Pooling;

use super::super::vit_config::{self, Interpolation, Positions, VitConfig};
use super::{Weights, forward, forward_with_tokens};
use crate::device::cpu::Cpu;
use crate::device::{Activation, Device};
use crate::tape::{Tape, Tensor, Var};

mod plain;

type D = Cpu<f64>;

/// Weights by name: rows, columns, values.
type Named = BTreeMap<String, (usize, usize, Vec<f32>)>;

const IMAGES: usize = 2;

/// Two blocks of heads of four, four patches an image.
const SMALL: VitConfig = VitConfig {
    image_size: 4,
    patch: 2,
    hidden: 8,
    layers: 2,
    heads: 2,
    mlp: 6,
    ..VitConfig::PLAIN
};

/// A base for each part that some have and others have not, and some with many.
fn bases() -> Vec<VitConfig> {
    let attention = vit_config::Pooling::Attention { heads: 4, mlp: 5 };
    let mut bases = vec![
        SMALL,
        VitConfig { registers: 3, layer_scale: true, ..SMALL },
        VitConfig { gated: true, activation: Activation::Silu, ..SMALL },
        VitConfig { qk_norm: true, qkv_bias: false, ..SMALL },
        VitConfig { positions: Positions::Rotary { theta: 100.0 }, no_key_bias: true, ..SMALL },
        VitConfig { projection: Some(3), activation: Activation::GeluTanh, ..SMALL },
        VitConfig {
            positions: Positions::Rotary { theta: 10.0 },
            registers: 2,
            qk_norm: true,
            gated: true,
            pooling: vit_config::Pooling::ClassMean,
            projection: Some(3),
            ..SMALL
        },
    ];
    for pooling in [vit_config::Pooling::Mean, vit_config::Pooling::NormOfMean, attention] {
        let interpolation = Interpolation::Antialias;
        bases.push(VitConfig { pooling, interpolation, no_class_token: true, ..SMALL });
        bases.push(VitConfig { pooling, interpolation, registers: 1, ..SMALL });
    }
    bases
}

/// Made-up weights for everything that the network of `config` has.
fn weights(config: &VitConfig) -> Named {
    let shape = config.shape(config.image_size);
    let h = shape.hidden;
    let mut sides = vec![
        ("embed.patch.weight".to_owned(), h, shape.patch_values()),
        ("embed.patch.bias".to_owned(), 1, h),
    ];
    sides.extend(shape.leading().map(|(kind, rows)| (format!("embed.{kind}"), rows, h)));
    if config.positions == Positions::Learned {
        sides.push(("embed.positions".to_owned(), super::super::positions::rows(&shape), h));
    }
    let mut norms = vec![("norm".to_owned(), h)];
    for block in 0..shape.blocks {
        let name = |part: &str| format!("blocks.{block}.{part}");
        norms.extend([(name("norm1"), h), (name("norm2"), h)]);
        if shape.norms.queries_and_keys {
            let width = shape.head_width();
            norms.extend([(name("attn.q_norm"), width), (name("attn.k_norm"), width)]);
        }
        if shape.norms.layer_scale {
            sides.extend([(name("scale1"), 1, h), (name("scale2"), 1, h)]);
        }
    }
    if matches!(shape.pooling, Pooling::Attention { .. }) {
        sides.push(("pool.probe".to_owned(), 1, h));
        norms.push(("pool.norm".to_owned(), h));
    }
    for (name, width) in norms {
        sides.extend(["weight", "bias"].map(|part| (format!("{name}.{part}"), 1, width)));
    }
    for site in shape.sites() {
        let (inputs, outputs) = shape.widths(site);
        sides.push((site.weight(), outputs, inputs));
        if shape.biased(site) {
            sides.push((site.bias(), 1, outputs));
        }
    }
    let made = sides.into_iter().enumerate().map(|(seed, (name, rows, columns))| {
        (name, (rows, columns, numbers(rows * columns, seed as u32 + 1)))
    });
    made.collect()
}

/// Multiples of 1/256 in [-1, 1), reproducible.
fn numbers(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) % 512
    };
    (0..len).map(|_| next() as f32 / 256.0 - 1.0).collect()
}

/// The features of images of `size` pixels on the tape with all weights trained, and the sum of the
/// gradients to the weights times `along`; none that has no gradient.
fn on_tape(
    config: &VitConfig,
    size: usize,
    named: &Named,
    along: &Named,
    recompute: bool,
) -> (Vec<f64>, f64) {
    let (device, values) = (D::poisoned(), 3 * size * size);
    let tape = Tape::new(&device);
    let parameter = |(name, (rows, columns, values)): (&String, &(usize, usize, Vec<f32>))| {
        (name.clone(), tape.parameter(Tensor::new(&device, values, *rows, *columns)))
    };
    let vars: BTreeMap<String, Var<D>> = named.iter().map(parameter).collect();
    let mut weights = Weights::trained(config.clone(), size, vars.clone());
    weights.recompute = recompute;
    let images = Tensor::new(&device, &numbers(IMAGES * values, 77), IMAGES, values);
    let y = forward(&tape, &weights, &BTreeMap::new(), &device, &Var::constant(images));
    assert_eq!((y.value.rows, y.value.columns), (IMAGES, config.features()));
    let features = device.values(&y.value.buffer).to_vec();
    let dy = device.upload(&numbers(features.len(), 88));
    drop(weights);
    let gradients = tape.backward_from([(&y, dy)]);
    let product = vars.iter().map(|(name, var)| {
        let gradient = gradients.of(var).unwrap_or_else(|| panic!("{name} has no gradient"));
        let gradient = device.values(gradient).iter();
        gradient.zip(&along[name].2).map(|(g, a)| g * f64::from(*a)).sum::<f64>()
    });
    (features, product.sum())
}

#[test]
fn every_network_is_what_plain_loops_compute() {
    for config in bases() {
        let named = weights(&config);
        for size in [config.image_size, 6] {
            let (found, _) = on_tape(&config, size, &named, &named, false);
            let images = numbers(IMAGES * 3 * size * size, 77);
            let images = images.chunks_exact(3 * size * size);
            let expected: Vec<f64> =
                images.flat_map(|image| plain::feature(&config, size, &named, image)).collect();
            assert_eq!(found.len(), expected.len());
            for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
                let far = (found - expected).abs();
                assert!(
                    far < 1e-5 * (1.0 + expected.abs()),
                    "{config:?}, {size}: {i}: {found} {expected}"
                );
            }
        }
    }
}

#[test]
fn every_weight_of_every_network_has_its_gradient() {
    // Weights are multiples of 2^-8, and so are the directions: moved weights are exact in f32.
    const STEP: f32 = 1.0 / 16384.0;
    for config in bases() {
        let named = weights(&config);
        let along: Named = named
            .iter()
            .enumerate()
            .map(|(i, (name, (rows, columns, values)))| {
                (name.clone(), (*rows, *columns, numbers(values.len(), 1000 + i as u32)))
            })
            .collect();
        let (_, gradient) = on_tape(&config, 6, &named, &along, false);
        let (_, again) = on_tape(&config, 6, &named, &along, true);
        assert_eq!(gradient, again, "{config:?} recomputed");
        let loss = |sign: f32| -> f64 {
            let mut moved = named.clone();
            for (name, (_, _, values)) in &mut moved {
                let along = &along[name].2;
                values.iter_mut().zip(along).for_each(|(v, a)| *v += sign * STEP * a);
            }
            let (features, _) = on_tape(&config, 6, &moved, &along, false);
            features.iter().zip(numbers(features.len(), 88)).map(|(y, w)| y * f64::from(w)).sum()
        };
        let difference = (loss(1.0) - loss(-1.0)) / (2.0 * f64::from(STEP));
        let far = (gradient - difference).abs();
        assert!(far < 1e-4 * (1.0 + difference.abs()), "{config:?}: {gradient} {difference}");
    }
}

#[test]
fn tokens_of_any_block_come_with_the_features_and_change_nothing() {
    for config in bases() {
        let named = weights(&config);
        let (device, size) = (D::poisoned(), config.image_size);
        let values = 3 * size * size;
        let (features, _) = on_tape(&config, size, &named, &named, false);
        let vars = named.iter().map(|(name, (rows, columns, values))| {
            (name.clone(), Var::constant(Tensor::new(&device, values, *rows, *columns)))
        });
        let weights = Weights::trained(config.clone(), size, vars.collect());
        let images = Tensor::new(&device, &numbers(IMAGES * values, 77), IMAGES, values);
        let images = Var::constant(images);
        let tape = Tape::new(&device);
        let (y, tokens) =
            forward_with_tokens(&tape, &weights, &BTreeMap::new(), &device, &images, &[0, 1]);
        assert_eq!(device.values(&y.value.buffer), features, "{config:?}");
        let sides = (IMAGES * config.tokens(size), config.hidden);
        assert!(tokens.iter().all(|x| (x.value.rows, x.value.columns) == sides));
        assert_eq!(tokens.len(), 2);
    }
}
