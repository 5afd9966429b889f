//! Multi-head attention (Vaswani et al. 2017, section 3.2), forward and backward, parallel over the
//! heads of each image. Scores exist for some rows of one head at a time. The backward
//! pass computes them a second time, to the same bits, so that nothing is kept for it (Dao et al.
//! 2022, arXiv 2205.14135, section 3.1).

use std::sync::Arc;

use rayon::prelude::*;

use crate::device::{AttentionSize, Size};

use super::matmul::{Columns, Product, View};
use super::real::{softmax, sum2, vectorised};
use super::{Chunk, Cpu, Real};

type Buffer<T> = Arc<Chunk<T>>;

/// Scores of one head that exist at a time, if they are of more than [`ROWS`] rows: two such blocks
/// stay in a core's own cache. Tests see several blocks of few tokens.
const SCORES: usize = if cfg!(test) { 64 } else { 1 << 16 };
const ROWS: usize = if cfg!(test) { 2 } else { 16 };

/// softmax(Q K^T / sqrt(width)) V per head.
pub fn forward<T: Real>(cpu: &Cpu<T>, size: AttentionSize, qkv: [&[T]; 3]) -> Buffer<T> {
    let mut y = cpu.take(size.batch * image(size, size.queries));
    heads(size, size.queries, &mut y).into_par_iter().enumerate().for_each_init(
        || vec![T::NAN; rows(size) * size.tokens],
        |p, (i, mut y)| {
            let head = Head::new(size, i, qkv);
            for (first, count) in blocks(size) {
                let p = &mut p[..count * size.tokens];
                head.softmax(first, p);
                let to_tokens = Size { m: count, n: size.width, k: size.tokens };
                let p = View::rows(p, size.tokens);
                Product::of(to_tokens, p, head.all(head.v)).write_columns(&mut y, first);
            }
        },
    );
    cpu.wrap(y)
}

/// The gradients to Q, K and V, given that to the result.
pub fn backward<T: Real>(
    cpu: &Cpu<T>,
    size: AttentionSize,
    dy: &[T],
    qkv: [&[T]; 3],
) -> [Buffer<T>; 3] {
    let [mut dq, mut dk, mut dv] = qkv.map(|x| cpu.take(x.len()));
    let of = |d, rows| heads(size, rows, d).into_par_iter();
    let dqs = of(&mut dq, size.queries);
    let [dks, dvs] = [&mut dk, &mut dv].map(|d| of(d, size.tokens));
    dqs.zip(dks).zip(dvs).enumerate().for_each_init(
        || [(); 2].map(|()| vec![T::NAN; rows(size) * size.tokens]),
        |[p, ds], (i, ((dq, dk), dv))| {
            let (head, mut parts) = (Head::new(size, i, qkv), [dq, dk, dv]);
            let dy = &dy[head.first_query..];
            for (first, count) in blocks(size) {
                let block = ..count * size.tokens;
                head.gradients(first, dy, [&mut p[block], &mut ds[block]], &mut parts);
            }
        },
    );
    [dq, dk, dv].map(|d| cpu.wrap(d))
}

/// One head of one image.
struct Head<'a, T> {
    size: AttentionSize,
    /// Where its first value is among those of queries.
    first_query: usize,
    q: &'a [T],
    k: &'a [T],
    v: &'a [T],
}

impl<'a, T: Real> Head<'a, T> {
    /// Head `i` of all heads of all images.
    fn new(size: AttentionSize, i: usize, qkv: [&'a [T]; 3]) -> Self {
        let start = |rows| i / size.heads * image(size, rows) + i % size.heads * size.width;
        let (first_query, first_token) = (start(size.queries), start(size.tokens));
        let [q, k, v] = qkv;
        Head { size, first_query, q: &q[first_query..], k: &k[first_token..], v: &v[first_token..] }
    }

    /// Rows of `x`, a matrix of all heads' columns.
    fn all<'b>(&self, x: &'b [T]) -> View<'b, T> {
        View::rows(x, self.size.heads * self.size.width)
    }

    fn from<'b>(&self, x: &'b [T], row: usize) -> View<'b, T> {
        self.all(&x[row * self.size.heads * self.size.width..])
    }

    /// The softmax of the rows from `first` on.
    fn softmax(&self, first: usize, p: &mut [T]) {
        let tokens = self.size.tokens;
        let to_scores = Size { m: p.len() / tokens, n: tokens, k: self.size.width };
        Product::of(to_scores, self.from(self.q, first), self.all(self.k).transposed())
            .times(scale(self.size))
            .write_here(p, tokens);
        vectorised(
            #[inline(always)]
            || {
                for row in p.chunks_exact_mut(tokens) {
                    softmax(row);
                }
            },
        );
    }

    /// Writes the gradient to Q of the rows from `first` on, and adds their share of those to K and
    /// V. The blocks of scores are room to work in.
    fn gradients(
        &self,
        first: usize,
        dy: &[T],
        [p, ds]: [&mut [T]; 2],
        [dq, dk, dv]: &mut [Columns<T>; 3],
    ) {
        let AttentionSize { tokens, width, .. } = self.size;
        let count = p.len() / tokens;
        self.softmax(first, p);
        let dy = self.from(dy, first);
        let add = |product: Product<_>, to: &mut Columns<T>| {
            let product = if first == 0 { product } else { product.added() };
            product.write_columns(to, 0);
        };
        let over_rows = Size { m: tokens, n: width, k: count };
        add(Product::of(over_rows, View::rows(p, tokens).transposed(), dy), dv);
        let to_scores = Size { m: count, n: tokens, k: width };
        Product::of(to_scores, dy, self.all(self.v).transposed()).write_here(ds, tokens);
        softmax_gradient(ds, p, tokens, scale(self.size));
        let ds = View::rows(ds, tokens);
        let to_tokens = Size { m: count, n: width, k: tokens };
        Product::of(to_tokens, ds, self.all(self.k)).write_columns(dq, first);
        add(Product::of(over_rows, ds.transposed(), self.from(self.q, first)), dk);
    }
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

/// The columns of each head of each image of so many rows, in their order.
fn heads<T>(size: AttentionSize, rows: usize, x: &mut [T]) -> Vec<Columns<'_, T>> {
    let images = x.chunks_exact_mut(image(size, rows));
    images.flat_map(|x| Columns::of(x, size.heads * size.width, size.width)).collect()
}

/// Values of one image of so many rows.
fn image(size: AttentionSize, rows: usize) -> usize {
    rows * size.heads * size.width
}

/// Rows of one head whose scores exist at a time.
fn rows(size: AttentionSize) -> usize {
    let blocks = (size.queries * size.tokens).div_ceil(SCORES);
    size.queries.div_ceil(blocks).max(ROWS).min(size.queries)
}

/// The first row of each block, and how many there are.
fn blocks(size: AttentionSize) -> impl Iterator<Item = (usize, usize)> {
    let rows = rows(size);
    (0..size.queries).step_by(rows).map(move |first| (first, rows.min(size.queries - first)))
}

/// 1 / sqrt(width), as the number type rounds it.
fn scale<T: Real>(size: AttentionSize) -> T {
    T::ONE / T::from_f64(size.width as f64).sqrt()
}
