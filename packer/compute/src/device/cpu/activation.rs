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
        Activation::QuickGelu => gated(cpu, x, quick),
        Activation::GeluTanh => gated(cpu, x, tanh),
        Activation::Silu => gated(cpu, x, plain),
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
        Activation::QuickGelu => gated_backward(cpu, dy, x, quick),
        Activation::GeluTanh => gated_backward(cpu, dy, x, tanh),
        Activation::Silu => gated_backward(cpu, dy, x, plain),
    }
}

/// x sigmoid(inner(x)), inner giving its slope too.
#[inline(always)]
fn gated<T: Real>(cpu: &Cpu<T>, x: &[T], inner: impl Fn(T) -> (T, T) + Sync) -> Arc<Chunk<T>> {
    map(
        cpu,
        x,
        x,
        #[inline(always)]
        |x, _| x / (T::ONE + (-inner(x).0).exp()),
    )
}

#[inline(always)]
fn gated_backward<T: Real>(
    cpu: &Cpu<T>,
    dy: &[T],
    x: &[T],
    inner: impl Fn(T) -> (T, T) + Sync,
) -> Arc<Chunk<T>> {
    map(
        cpu,
        dy,
        x,
        #[inline(always)]
        |dy, x| {
            let (value, slope) = inner(x);
            let s = T::ONE / (T::ONE + (-value).exp());
            dy * (s + x * slope * s * (T::ONE - s))
        },
    )
}

#[inline(always)]
fn quick<T: Real>(x: T) -> (T, T) {
    let factor = T::from_f64(1.702);
    (factor * x, factor)
}

#[inline(always)]
fn plain<T: Real>(x: T) -> (T, T) {
    (x, T::ONE)
}

/// sqrt(8 / pi) (x + 0.044715 x^3): (1 + tanh(t)) / 2 is sigmoid(2 t).
#[inline(always)]
fn tanh<T: Real>(x: T) -> (T, T) {
    let [linear, cubic] = [1.595_769_121_605_730_7, 0.044_715].map(T::from_f64);
    let square = cubic * x * x;
    let three = T::from_f64(3.0);
    (linear * x * (T::ONE + square), linear * (T::ONE + three * square))
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
