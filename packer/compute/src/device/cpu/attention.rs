//! Multi-head attention (Vaswani et al. 2017, section 3.2), forward and backward, parallel
//! over the images of a batch.

use std::sync::Arc;

use rayon::prelude::*;

use crate::device::{AttentionSize, Size};

use super::matmul::{Product, View};
use super::real::{softmax, sum2, vectorised};
use super::{Chunk, Cpu, Real};

type Buffer<T> = Arc<Chunk<T>>;

/// softmax(Q K^T / sqrt(width)) V per head, and the softmax [batch, heads, queries, tokens].
pub fn forward<T: Real>(
    cpu: &Cpu<T>,
    size: AttentionSize,
    q: &[T],
    k: &[T],
    v: &[T],
) -> (Buffer<T>, Buffer<T>) {
    let AttentionSize { batch, queries, tokens, heads, width } = size;
    let (columns, square) = (heads * width, queries * tokens);
    let (image, scores) = (queries * columns, heads * square);
    let mut y = cpu.take(batch * image);
    let mut p = cpu.take(batch * scores);
    y.par_chunks_mut(image).zip(p.par_chunks_mut(scores)).enumerate().for_each(|(i, (y, p))| {
        for (h, p) in p.chunks_exact_mut(square).enumerate() {
            let at = |x, rows| View::rows(head(x, i * rows * columns + h * width), columns);
            let (q, k, v) = (at(q, queries), at(k, tokens), at(v, tokens));
            Product::of(to_scores(size), q, k.transposed())
                .times(scale(size))
                .write_here(p, tokens);
            vectorised(
                #[inline(always)]
                || {
                    for row in p.chunks_exact_mut(tokens) {
                        softmax(row);
                    }
                },
            );
            let p = View::rows(p, tokens);
            Product::of(to_queries(size), p, v).write_here(&mut y[h * width..], columns);
        }
    });
    (cpu.wrap(y), cpu.wrap(p))
}

/// The gradients to Q, K and V, given that to the result and the softmax.
pub fn backward<T: Real>(
    cpu: &Cpu<T>,
    size: AttentionSize,
    dy: &[T],
    qkv: [&[T]; 3],
    softmax: &[T],
) -> [Buffer<T>; 3] {
    let AttentionSize { batch, queries, tokens, heads, width } = size;
    let (columns, square) = (heads * width, queries * tokens);
    let [q, k, v] = qkv;
    let [mut dq, mut dk, mut dv] = qkv.map(|x| cpu.take(x.len()));
    let image = tokens * columns;
    let of_tokens = dk.par_chunks_mut(image).zip(dv.par_chunks_mut(image));
    let images = dq.par_chunks_mut(queries * columns).zip(of_tokens);
    assert_eq!(dy.len(), batch * queries * columns);
    images.enumerate().for_each_init(
        || vec![T::NAN; square],
        |ds, (i, (dq, (dk, dv)))| {
            for h in 0..heads {
                let p = &softmax[(i * heads + h) * square..][..square];
                let at = |x, rows| View::rows(head(x, i * rows * columns + h * width), columns);
                let (dy, q) = (at(dy, queries), at(q, queries));
                let (k, v) = (at(k, tokens), at(v, tokens));
                let to_tokens = |a, b| Product::of(to_tokens(size), a, b);
                let p_transposed = View::rows(p, tokens).transposed();
                to_tokens(p_transposed, dy).write_here(&mut dv[h * width..], columns);
                Product::of(to_scores(size), dy, v.transposed()).write_here(ds, tokens);
                softmax_gradient(ds, p, tokens, scale(size));
                let ds = View::rows(ds, tokens);
                Product::of(to_queries(size), ds, k).write_here(&mut dq[h * width..], columns);
                to_tokens(ds.transposed(), q).write_here(&mut dk[h * width..], columns);
            }
        },
    );
    [dq, dk, dv].map(|d| cpu.wrap(d))
}

/// Turns the gradient to the softmax p into that to the scores before `scale`, row by row.
#[inline(always)]
fn softmax_gradient<T: Real>(ds: &mut [T], p: &[T], tokens: usize, scale: T) {
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
}

/// 1 / sqrt(width), as the number type rounds it.
fn scale<T: Real>(size: AttentionSize) -> T {
    T::ONE / T::from_f64(size.width as f64).sqrt()
}

/// Of a product whose result has a row for each query and a column for each token.
fn to_scores(size: AttentionSize) -> Size {
    Size { m: size.queries, n: size.tokens, k: size.width }
}

/// Of a product whose result has a row for each query.
fn to_queries(size: AttentionSize) -> Size {
    Size { m: size.queries, n: size.width, k: size.tokens }
}

/// Of a product whose result has a row for each token.
fn to_tokens(size: AttentionSize) -> Size {
    Size { m: size.tokens, n: size.width, k: size.queries }
}

/// The values from `start` on, where one head of one image begins.
fn head<T>(x: &[T], start: usize) -> &[T] {
    &x[start..]
}
