//! The non-linearities of the MLP and their gated products, forward and backward.

use std::sync::Arc;

use crate::device::Activation;

use super::real::vectorised;
use super::{Chunk, Cpu, Real};

type Buffer<T> = Arc<Chunk<T>>;

/// An activation and its slope.
trait Curve {
    fn at<T: Real>(x: T) -> T;
    fn slope<T: Real>(x: T) -> T;
}

/// What is to be done, with the curve of a kind under a name of its own.
macro_rules! with_curve {
    ($kind:expr, $curve:ident => $body:expr) => {
        match $kind {
            Activation::Gelu => {
                type $curve = Gelu;
                $body
            }
            Activation::QuickGelu => {
                type $curve = Sigmoid<Quick>;
                $body
            }
            Activation::GeluTanh => {
                type $curve = Sigmoid<Tanh>;
                $body
            }
            Activation::Silu => {
                type $curve = Sigmoid<Plain>;
                $body
            }
        }
    };
}

pub fn forward<T: Real>(cpu: &Cpu<T>, kind: Activation, x: &[T]) -> Buffer<T> {
    with_curve!(kind, C => map(
        cpu,
        [x, x, x],
        #[inline(always)]
        |x, _, _| C::at(x),
    ))
}

pub fn backward<T: Real>(cpu: &Cpu<T>, kind: Activation, dy: &[T], x: &[T]) -> Buffer<T> {
    with_curve!(kind, C => map(
        cpu,
        [dy, x, x],
        #[inline(always)]
        |dy, x, _| dy * C::slope(x),
    ))
}

/// f(g) * u.
pub fn gated<T: Real>(cpu: &Cpu<T>, kind: Activation, g: &[T], u: &[T]) -> Buffer<T> {
    with_curve!(kind, C => map(
        cpu,
        [g, u, u],
        #[inline(always)]
        |g, u, _| C::at(g) * u,
    ))
}

/// The gradients to g and u.
pub fn gated_backward<T: Real>(
    cpu: &Cpu<T>,
    kind: Activation,
    dy: &[T],
    [g, u]: [&[T]; 2],
) -> [Buffer<T>; 2] {
    with_curve!(kind, C => [
        map(
            cpu,
            [dy, g, u],
            #[inline(always)]
            |dy, g, u| dy * u * C::slope(g),
        ),
        map(
            cpu,
            [dy, g, g],
            #[inline(always)]
            |dy, g, _| dy * C::at(g),
        ),
    ])
}

/// x Phi(x).
struct Gelu;

impl Curve for Gelu {
    #[inline(always)]
    fn at<T: Real>(x: T) -> T {
        x * x.normal().0
    }

    #[inline(always)]
    fn slope<T: Real>(x: T) -> T {
        let (below, density) = x.normal();
        below + x * density
    }
}

/// x sigmoid(inner(x)).
struct Sigmoid<I>(std::marker::PhantomData<I>);

/// A function of x, with its slope.
trait Inner {
    fn of<T: Real>(x: T) -> (T, T);
}

impl<I: Inner> Curve for Sigmoid<I> {
    #[inline(always)]
    fn at<T: Real>(x: T) -> T {
        x / (T::ONE + (-I::of(x).0).exp())
    }

    #[inline(always)]
    fn slope<T: Real>(x: T) -> T {
        let (value, slope) = I::of(x);
        let s = T::ONE / (T::ONE + (-value).exp());
        s + x * slope * s * (T::ONE - s)
    }
}

struct Quick;

impl Inner for Quick {
    #[inline(always)]
    fn of<T: Real>(x: T) -> (T, T) {
        let factor = T::from_f64(1.702);
        (factor * x, factor)
    }
}

struct Plain;

impl Inner for Plain {
    #[inline(always)]
    fn of<T: Real>(x: T) -> (T, T) {
        (x, T::ONE)
    }
}

/// sqrt(8 / pi) (x + 0.044715 x^3): (1 + tanh(t)) / 2 is sigmoid(2 t).
struct Tanh;

impl Inner for Tanh {
    #[inline(always)]
    fn of<T: Real>(x: T) -> (T, T) {
        let [linear, cubic] = [1.595_769_121_605_730_7, 0.044_715].map(T::from_f64);
        let square = cubic * x * x;
        let three = T::from_f64(3.0);
        (linear * x * (T::ONE + square), linear * (T::ONE + three * square))
    }
}

#[inline(always)]
fn map<T: Real>(cpu: &Cpu<T>, xyz: [&[T]; 3], f: impl Fn(T, T, T) -> T + Sync) -> Buffer<T> {
    let len = xyz[0].len();
    assert!(xyz.iter().all(|x| x.len() == len));
    cpu.by_rows(len, 1, |first, out| {
        let [x, y, z] = xyz.map(|x| &x[first..][..out.len()]);
        vectorised(
            #[inline(always)]
            || {
                for (((out, x), y), z) in out.iter_mut().zip(x).zip(y).zip(z) {
                    *out = f(*x, *y, *z);
                }
            },
        )
    })
}
