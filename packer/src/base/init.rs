//! Random weights for a base that is trained from nothing: normal with standard deviation 0.02 cut
//! at two deviations (Dosovitskiy et al. 2021's code and most after it), biases zero, norms one,
//! layer scales 0.1.

use std::collections::BTreeMap;

use medforge_runtime::tensors::Tensor;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::parameters::parameter_shapes;
use super::stored::StoredTensor;
use super::vit_config::VitConfig;

pub fn random(config: &VitConfig, seed: u64) -> BTreeMap<String, StoredTensor> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let value = |name: &str, rng: &mut ChaCha8Rng| match name.rsplit('.').next() {
        Some("bias") => 0.0,
        Some("scale1" | "scale2") => 0.1,
        _ if name.contains("norm") => 1.0,
        _ => 0.02 * normal(rng),
    };
    parameter_shapes(config)
        .into_iter()
        .map(|(name, shape)| {
            let data =
                (0..shape.iter().product::<usize>()).map(|_| value(&name, &mut rng)).collect();
            (name, Tensor::f32(shape, data).into())
        })
        .collect()
}

/// A normal number within two standard deviations (polar method of Marsaglia).
pub fn normal(rng: &mut ChaCha8Rng) -> f32 {
    loop {
        let (u, v) = (rng.random::<f64>() * 2.0 - 1.0, rng.random::<f64>() * 2.0 - 1.0);
        let s = u * u + v * v;
        if s > 0.0 && s < 1.0 {
            let x = u * (-2.0 * libm::log(s) / s).sqrt();
            if x.abs() <= 2.0 {
                return x as f32;
            }
        }
    }
}
