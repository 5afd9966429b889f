//! Merging of weight changes (TIES, Yadav et al. 2023): trimming by magnitude, sign election with
//! the disjoint mean.

use std::sync::Arc;

use super::{Chunk, Cpu, Real};

type Buffer<T> = Arc<Chunk<T>>;

pub fn trim<T: Real>(cpu: &Cpu<T>, x: &[T], keep: usize) -> Buffer<T> {
    let smallest = match keep.min(x.len()) {
        0 => None,
        keep => {
            let mut order = x.to_vec();
            let (_, last, _) = order
                .select_nth_unstable_by(keep - 1, |a, b| magnitude(*b).total_cmp(&magnitude(*a)));
            Some(magnitude(*last))
        }
    };
    cpu.by_rows(x.len(), 1, |first, out| {
        for (out, x) in out.iter_mut().zip(&x[first..]) {
            let stays = smallest.is_some_and(|smallest| magnitude(*x).total_cmp(&smallest).is_ge());
            *out = if stays { *x } else { T::ZERO };
        }
    })
}

pub fn elect<T: Real>(cpu: &Cpu<T>, deltas: &[(&[T], T)]) -> Buffer<T> {
    let len = deltas.first().expect("something to merge").0.len();
    assert!(deltas.iter().all(|(x, _)| x.len() == len));
    cpu.by_rows(len, 1, |first, out| {
        for (i, out) in out.iter_mut().enumerate() {
            let values = || deltas.iter().map(|(x, weight)| *weight * x[first + i]);
            let sum: T = values().sum();
            let elected = |x: T| (x > T::ZERO && sum > T::ZERO) || (x < T::ZERO && sum < T::ZERO);
            let (mut total, mut count) = (T::ZERO, 0u32);
            for x in values().filter(|x| elected(*x)) {
                total += x;
                count += 1;
            }
            *out = match sum.partial_cmp(&T::ZERO) {
                None => T::NAN,
                Some(_) => total / T::from_f64(f64::from(count.max(1))),
            };
        }
    })
}

/// |x|; every NaN is the same one, which `total_cmp` puts above infinity.
fn magnitude<T: Real>(x: T) -> f64 {
    let x = x.to_f64();
    if x.is_nan() { f64::NAN.abs() } else { x.abs() }
}
