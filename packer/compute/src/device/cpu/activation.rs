//! The non-linearities of the MLP, forward and backward.

use std::sync::Arc;

use crate::device::Activation;

use super::real::vectorised;
use super::{Chunk, Cpu, Real};

pub fn forward<T: Real>(cpu: &Cpu<T>, kind: Activation, x: &[T]) -> Arc<Chunk<T>> {
    match kind {
        Activation::Gelu => map(
            cpu,
            x,
            x,
            #[inline(always)]
            |x, _| x * x.normal().0,
        ),
        Activation::QuickGelu => map(
            cpu,
            x,
            x,
            #[inline(always)]
            |x, _| x * sigmoid(x).0,
        ),
    }
}

pub fn backward<T: Real>(cpu: &Cpu<T>, kind: Activation, dy: &[T], x: &[T]) -> Arc<Chunk<T>> {
    match kind {
        Activation::Gelu => map(
            cpu,
            dy,
            x,
            #[inline(always)]
            |dy, x| {
                let (below, density) = x.normal();
                dy * (below + x * density)
            },
        ),
        Activation::QuickGelu => map(
            cpu,
            dy,
            x,
            #[inline(always)]
            |dy, x| {
                let (s, derivative) = sigmoid(x);
                dy * (s + x * derivative)
            },
        ),
    }
}

/// sigmoid(1.702 x) and its derivative.
#[inline(always)]
fn sigmoid<T: Real>(x: T) -> (T, T) {
    let factor = T::from_f64(1.702);
    let s = T::ONE / (T::ONE + (-(factor * x)).exp());
    (s, factor * s * (T::ONE - s))
}

#[inline(always)]
fn map<T: Real>(cpu: &Cpu<T>, x: &[T], y: &[T], f: impl Fn(T, T) -> T + Sync) -> Arc<Chunk<T>> {
    assert_eq!(x.len(), y.len());
    cpu.by_rows(x.len(), 1, |first, out| {
        let (x, y) = (&x[first..][..out.len()], &y[first..][..out.len()]);
        vectorised(
            #[inline(always)]
            || {
                for ((out, x), y) in out.iter_mut().zip(x).zip(y) {
                    *out = f(*x, *y);
                }
            },
        )
    })
}
