//! The cross-entropy over the softmax of rows.

use std::sync::Arc;

use super::real;
use super::{Chunk, Cpu, Real};

type Buffer<T> = Arc<Chunk<T>>;

pub fn cross_entropy<T: Real>(
    cpu: &Cpu<T>,
    logits: &[T],
    classes: usize,
    labels: &[u32],
) -> (Buffer<T>, Buffer<T>) {
    assert_eq!(logits.len(), classes * labels.len());
    let mut p = cpu.take(logits.len());
    p.copy_from_slice(logits);
    let mut loss = 0.0;
    for ((p, logits), label) in
        p.chunks_exact_mut(classes).zip(logits.chunks_exact(classes)).zip(labels)
    {
        real::softmax(p);
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
    for ((out, p), label) in
        out.chunks_exact_mut(classes).zip(softmax.chunks_exact(classes)).zip(labels)
    {
        for (class, (out, p)) in out.iter_mut().zip(p).enumerate() {
            let truth = if class == *label as usize { T::ONE } else { T::ZERO };
            *out = (*p - truth) * scale;
        }
    }
    cpu.wrap(out)
}
