//! Cross-entropy over softmax, and the AdamW step.

use std::sync::Arc;

use rayon::prelude::*;

use crate::device::AdamW;

use super::real::{softmax, vectorised};
use super::{Chunk, Cpu, GRAIN, Real};

type Buffer<T> = Arc<Chunk<T>>;

pub fn cross_entropy<T: Real>(cpu: &Cpu<T>, logits: &[T], classes: usize, labels: &[u32]) -> (Buffer<T>, Buffer<T>) {
    assert_eq!(logits.len(), classes * labels.len());
    let mut p = cpu.take(logits.len());
    p.copy_from_slice(logits);
    let mut loss = 0.0;
    for ((p, logits), label) in p.chunks_exact_mut(classes).zip(logits.chunks_exact(classes)).zip(labels) {
        softmax(p);
        let max = logits.iter().map(|x| x.to_f64()).fold(f64::NEG_INFINITY, f64::max);
        let log_sum = logits.iter().map(|x| libm::exp(x.to_f64() - max)).sum::<f64>().ln() + max;
        loss += log_sum - logits[*label as usize].to_f64();
    }
    let mut mean = cpu.take(1);
    mean[0] = T::from_f64(loss / labels.len() as f64);
    (cpu.wrap(mean), cpu.wrap(p))
}

pub fn cross_entropy_backward<T: Real>(
    cpu: &Cpu<T>,
    dy: T,
    softmax: &[T],
    classes: usize,
    labels: &[u32],
) -> Buffer<T> {
    let scale = dy / T::from_f64(labels.len() as f64);
    let mut out = cpu.take(softmax.len());
    for ((out, p), label) in out.chunks_exact_mut(classes).zip(softmax.chunks_exact(classes)).zip(labels) {
        for (class, (out, p)) in out.iter_mut().zip(p).enumerate() {
            let truth = if class == *label as usize { T::ONE } else { T::ZERO };
            *out = (*p - truth) * scale;
        }
    }
    cpu.wrap(out)
}

pub fn adamw<T: Real>(settings: AdamW, weight: &mut [T], gradient: &[T], first: &mut [T], second: &mut [T]) {
    assert!(weight.len() == gradient.len() && weight.len() == first.len() && weight.len() == second.len());
    let AdamW { learning_rate, beta1, beta2, epsilon, weight_decay, step } = settings;
    let number = T::from_f64;
    let (b1, b2, rest1, rest2) = (number(beta1), number(beta2), number(1.0 - beta1), number(1.0 - beta2));
    let keep = number(1.0 - learning_rate * weight_decay);
    let rate = number(learning_rate / (1.0 - beta1.powf(step as f64)));
    let unbias = number(1.0 / (1.0 - beta2.powf(step as f64)).sqrt());
    let epsilon = number(epsilon);
    let moments = first.par_chunks_mut(GRAIN).zip(second.par_chunks_mut(GRAIN));
    weight.par_chunks_mut(GRAIN).zip(gradient.par_chunks(GRAIN)).zip(moments).for_each(|((w, g), (m, v))| {
        vectorised(
            #[inline(always)]
            || {
                for (((w, g), m), v) in w.iter_mut().zip(g).zip(m).zip(v) {
                    *m = *m * b1 + *g * rest1;
                    *v = *v * b2 + *g * *g * rest2;
                    *w = *w * keep - rate * *m / (v.sqrt() * unbias + epsilon);
                }
            },
        )
    });
}
