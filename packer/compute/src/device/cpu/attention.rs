//! Multi-head self-attention (Vaswani et al. 2017, section 3.2), forward and backward, parallel
//! over the images of a batch.

use std::sync::Arc;

use rayon::prelude::*;

use crate::device::{AttentionSize, Size};

use super::matmul::{View, product_in_place};
use super::real::{softmax, sum2, vectorised};
use super::{Chunk, Cpu, Real};

type Buffer<T> = Arc<Chunk<T>>;

pub fn forward<T: Real>(
    cpu: &Cpu<T>,
    size: AttentionSize,
    q: &[T],
    k: &[T],
    v: &[T],
) -> (Buffer<T>, Buffer<T>) {
    let AttentionSize { batch, tokens, heads, width } = size;
    let (columns, square) = (heads * width, tokens * tokens);
    let (image, scores) = (tokens * columns, heads * square);
    let scale = T::ONE / T::from_f64(width as f64).sqrt();
    let mut y = cpu.take(batch * image);
    let mut p = cpu.take(batch * scores);
    y.par_chunks_mut(image).zip(p.par_chunks_mut(scores)).enumerate().for_each(|(i, (y, p))| {
        for (h, p) in p.chunks_exact_mut(square).enumerate() {
            let at = |x| View::rows(head(x, i * image + h * width), columns);
            let (q, k, v) = (at(q), at(k), at(v));
            product_in_place(
                p,
                tokens,
                false,
                Size { m: tokens, n: tokens, k: width },
                scale,
                q,
                k.transposed(),
            );
            vectorised(
                #[inline(always)]
                || {
                    for row in p.chunks_exact_mut(tokens) {
                        softmax(row);
                    }
                },
            );
            let p = View::rows(p, tokens);
            product_in_place(
                &mut y[h * width..],
                columns,
                false,
                Size { m: tokens, n: width, k: tokens },
                T::ONE,
                p,
                v,
            );
        }
    });
    (cpu.wrap(y), cpu.wrap(p))
}

pub fn backward<T: Real>(
    cpu: &Cpu<T>,
    size: AttentionSize,
    dy: &[T],
    qkv: [&[T]; 3],
    softmax: &[T],
) -> [Buffer<T>; 3] {
    let AttentionSize { batch, tokens, heads, width } = size;
    let (columns, square) = (heads * width, tokens * tokens);
    let image = tokens * columns;
    let scale = T::ONE / T::from_f64(width as f64).sqrt();
    let [q, k, v] = qkv;
    let [mut dq, mut dk, mut dv] = [(); 3].map(|()| cpu.take(batch * image));
    let images =
        dq.par_chunks_mut(image).zip(dk.par_chunks_mut(image)).zip(dv.par_chunks_mut(image));
    images.enumerate().for_each_init(
        || vec![T::NAN; square],
        |ds, (i, ((dq, dk), dv))| {
            for h in 0..heads {
                let p = &softmax[(i * heads + h) * square..][..square];
                let at = |x| View::rows(head(x, i * image + h * width), columns);
                let (dy, q, k, v) = (at(dy), at(q), at(k), at(v));
                let to_tokens = Size { m: tokens, n: width, k: tokens };
                product_in_place(
                    &mut dv[h * width..],
                    columns,
                    false,
                    to_tokens,
                    T::ONE,
                    View::rows(p, tokens).transposed(),
                    dy,
                );
                product_in_place(
                    ds,
                    tokens,
                    false,
                    Size { m: tokens, n: tokens, k: width },
                    T::ONE,
                    dy,
                    v.transposed(),
                );
                vectorised(
                    #[inline(always)]
                    || {
                        for (ds, p) in ds.chunks_exact_mut(tokens).zip(p.chunks_exact(tokens)) {
                            let mean = sum2(ds, p, |ds, p| ds * p);
                            for (ds, p) in ds.iter_mut().zip(p) {
                                *ds = *p * (*ds - mean) * scale;
                            }
                        }
                    },
                );
                let ds = View::rows(ds, tokens);
                product_in_place(&mut dq[h * width..], columns, false, to_tokens, T::ONE, ds, k);
                product_in_place(
                    &mut dk[h * width..],
                    columns,
                    false,
                    to_tokens,
                    T::ONE,
                    ds.transposed(),
                    q,
                );
            }
        },
    );
    [dq, dk, dv].map(|d| cpu.wrap(d))
}

/// The values from `start` on, where one head of one image begins.
fn head<T>(x: &[T], start: usize) -> &[T] {
    &x[start..]
}
