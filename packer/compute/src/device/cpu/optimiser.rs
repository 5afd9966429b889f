//! One step of AdamW on one weight.

use rayon::prelude::*;

use crate::device::AdamW;

use super::real::vectorised;
use super::{GRAIN, Real};

pub fn adamw<T: Real>(
    settings: AdamW,
    weight: &mut [T],
    gradient: &[T],
    first: &mut [T],
    second: &mut [T],
) {
    assert!(
        weight.len() == gradient.len()
            && weight.len() == first.len()
            && weight.len() == second.len()
    );
    let AdamW { learning_rate, beta1, beta2, epsilon, weight_decay, step } = settings;
    let number = T::from_f64;
    let (b1, b2, rest1, rest2) =
        (number(beta1), number(beta2), number(1.0 - beta1), number(1.0 - beta2));
    let keep = number(1.0 - learning_rate * weight_decay);
    let rate = number(learning_rate / (1.0 - beta1.powf(step as f64)));
    let unbias = number(1.0 / (1.0 - beta2.powf(step as f64)).sqrt());
    let epsilon = number(epsilon);
    let moments = first.par_chunks_mut(GRAIN).zip(second.par_chunks_mut(GRAIN));
    weight.par_chunks_mut(GRAIN).zip(gradient.par_chunks(GRAIN)).zip(moments).for_each(
        |((w, g), (m, v))| {
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
        },
    );
}
