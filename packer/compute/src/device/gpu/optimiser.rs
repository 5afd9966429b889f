//! Steps of AdamW, and the loss scale that they take out of gradients.

use medforge_shaders::{ADAMW, FINITE, LOSS_SCALE};

use crate::device::{AdamW, Update};

use super::call::Call;
use super::{Buffer, Gpu};

pub fn adamw(gpu: &Gpu, settings: AdamW, updates: Vec<Update<Buffer>>) {
    let AdamW { learning_rate, beta1, beta2, epsilon, weight_decay, step } = settings;
    let numbers = [
        beta1,
        beta2,
        1.0 - learning_rate * weight_decay,
        learning_rate / (1.0 - beta1.powf(step as f64)),
        1.0 / (1.0 - beta2.powf(step as f64)).sqrt(),
        epsilon,
        1.0 - beta1,
        1.0 - beta2,
    ];
    look_at(gpu, updates.iter().map(|u| u.gradient));
    for Update { weight, gradient, state: [first, second] } in updates {
        let quads = gradient.quads();
        let mut params = vec![quads];
        params.extend(numbers.map(|n| (n as f32).to_bits()));
        let mut buffers = vec![&**gradient, gpu.own(weight), gpu.own(first), gpu.own(second)];
        buffers.extend(gpu.scaler.as_deref());
        gpu.engine.run(Call {
            kernel: &ADAMW,
            settings: &[("scaled", gpu.scaler.is_some().into())],
            params: &params,
            buffers: &buffers,
            groups: gpu.engine.over(quads as usize),
            operations: 12 * gradient.len as u64,
        });
    }
    rescale(gpu);
}

/// Notes whether a gradient is not finite.
fn look_at<'a>(gpu: &Gpu, gradients: impl Iterator<Item = &'a Buffer>) {
    let Some(state) = &gpu.scaler else { return };
    for gradient in gradients {
        gpu.engine.run(Call {
            kernel: &FINITE,
            settings: &[],
            params: &[gradient.len as u32],
            buffers: &[gradient, state],
            groups: gpu.engine.over(gradient.len),
            operations: 0,
        });
    }
}

/// Adapts the loss scale after a step.
fn rescale(gpu: &Gpu) {
    let Some(state) = &gpu.scaler else { return };
    gpu.engine.run(Call {
        kernel: &LOSS_SCALE,
        settings: &[],
        params: &[],
        buffers: &[state],
        groups: [1, 1, 1],
        operations: 0,
    });
}
