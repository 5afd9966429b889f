//! The `cpu` device: gemm for products, rayon over rows, everything else written so that the
//! compiler vectorises it for the processor it meets (AVX-512 where there is one).
//!
//! Generic over f32 and f64: f32 trains, f64 is what the gradient checks compare with.

use std::sync::Arc;

use rayon::prelude::*;

use crate::Error;
use crate::device::{
    Activation, AdamW, Affine, AttentionSize, Colour, Device, Form, ImageSize, PatchSize,
    Rectangle, Size, Update,
};

mod activation;
mod attention;
mod colour;
mod embed;
mod loss;
mod matmul;
mod norm;
mod optimiser;
pub(super) mod pool;
mod real;
mod warp;

pub use pool::Chunk;
pub use real::Real;

use pool::Pool;

/// Values handled by one task at least: below this, starting a task costs more than it saves.
const GRAIN: usize = 16 * 1024;

/// The processor as a device.
#[derive(Clone)]
pub struct Cpu<T: Real = f32> {
    pool: Arc<Pool<T>>,
    poison: bool,
}

impl<T: Real> Cpu<T> {
    pub fn new() -> Self {
        Cpu { pool: Arc::new(Pool::new()), poison: false }
    }

    /// A device whose fresh buffers are full of NaN, so that a value left unwritten is seen. For
    /// tests.
    pub fn poisoned() -> Self {
        Cpu { poison: true, ..Self::new() }
    }

    /// The most bytes that buffers took at once, in use or kept for later.
    pub fn peak(&self) -> usize {
        self.pool.held().1 * size_of::<T>()
    }

    /// The values of a buffer in this device's own precision.
    pub fn values<'a>(&self, buffer: &'a Arc<Chunk<T>>) -> &'a [T] {
        &buffer.values
    }

    /// Takes over `values` as a buffer.
    pub fn wrap(&self, values: Vec<T>) -> Arc<Chunk<T>> {
        Arc::new(Chunk::new(values, &self.pool))
    }

    /// A vector of `len` values of no particular content (NaN when poisoned).
    fn take(&self, len: usize) -> Vec<T> {
        let mut values = self.pool.take(len, T::ZERO);
        if self.poison {
            values.fill(T::NAN);
        }
        values
    }

    /// A new buffer filled row by row: `fill(first_row, rows)` sees whole rows of `columns` values,
    /// in parallel.
    fn by_rows(
        &self,
        len: usize,
        columns: usize,
        fill: impl Fn(usize, &mut [T]) + Sync,
    ) -> Arc<Chunk<T>> {
        let mut values = self.take(len);
        rows_mut(&mut values, columns, fill);
        self.wrap(values)
    }
}

impl<T: Real> Default for Cpu<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Real> Device for Cpu<T> {
    type Buffer = Arc<Chunk<T>>;

    fn upload(&self, values: &[f32]) -> Self::Buffer {
        let mut buffer = self.take(values.len());
        for (to, from) in buffer.iter_mut().zip(values) {
            *to = T::from_f64(f64::from(*from));
        }
        self.wrap(buffer)
    }

    fn download(&self, buffer: &Self::Buffer) -> Result<Vec<f32>, Error> {
        Ok(buffer.values.iter().map(|v| v.to_f64() as f32).collect())
    }

    fn zeros(&self, len: usize) -> Self::Buffer {
        let mut values = self.take(len);
        values.fill(T::ZERO);
        self.wrap(values)
    }

    fn bound(&self, bytes: u64) {
        self.pool.bound(usize::try_from(bytes).unwrap_or(usize::MAX) / size_of::<T>());
    }

    fn matmul(
        &self,
        form: Form,
        size: Size,
        alpha: f64,
        a: &Self::Buffer,
        b: &Self::Buffer,
    ) -> Self::Buffer {
        let mut c = self.take(size.m * size.n);
        matmul::product(&mut c, false, form, size, T::from_f64(alpha), &a.values, &b.values);
        self.wrap(c)
    }

    fn matmul_add(
        &self,
        c: &mut Self::Buffer,
        form: Form,
        size: Size,
        alpha: f64,
        a: &Self::Buffer,
        b: &Self::Buffer,
    ) {
        let c = self.own(c);
        matmul::product(c, true, form, size, T::from_f64(alpha), &a.values, &b.values);
    }

    fn linear(
        &self,
        size: Size,
        x: &Self::Buffer,
        w: &Self::Buffer,
        bias: &Self::Buffer,
    ) -> Self::Buffer {
        let mut y = self.take(size.m * size.n);
        rows_mut(&mut y, size.n, |_, rows| {
            for row in rows.chunks_exact_mut(size.n) {
                row.copy_from_slice(&bias.values);
            }
        });
        matmul::product(&mut y, true, Form::Nt, size, T::ONE, &x.values, &w.values);
        self.wrap(y)
    }

    fn add_scaled(&self, into: &mut Self::Buffer, alpha: f64, x: &Self::Buffer) {
        let (into, alpha) = (self.own(into), T::from_f64(alpha));
        assert_eq!(into.len(), x.values.len());
        into.par_chunks_mut(GRAIN).zip(x.values.par_chunks(GRAIN)).for_each(|(into, x)| {
            real::vectorised(
                #[inline(always)]
                || {
                    for (into, x) in into.iter_mut().zip(x) {
                        *into += alpha * *x;
                    }
                },
            )
        });
    }

    fn column_sum(&self, x: &Self::Buffer, columns: usize) -> Self::Buffer {
        self.reduce_rows(x.values.len(), columns, |row, sum| {
            for (sum, x) in sum.iter_mut().zip(&x.values[row * columns..]) {
                *sum += *x;
            }
        })
    }

    fn column_dot(&self, x: &Self::Buffer, y: &Self::Buffer, columns: usize) -> Self::Buffer {
        assert_eq!(x.values.len(), y.values.len());
        self.reduce_rows(x.values.len(), columns, |row, sum| {
            let (x, y) = (&x.values[row * columns..], &y.values[row * columns..]);
            for ((sum, x), y) in sum.iter_mut().zip(x).zip(y) {
                *sum += *x * *y;
            }
        })
    }

    fn scale_columns(&self, x: &Self::Buffer, scale: &Self::Buffer) -> Self::Buffer {
        let columns = scale.values.len();
        self.by_rows(x.values.len(), columns, |first, out| {
            let x = &x.values[first * columns..][..out.len()];
            real::vectorised(
                #[inline(always)]
                || {
                    for (out, x) in out.chunks_exact_mut(columns).zip(x.chunks_exact(columns)) {
                        for ((out, x), scale) in out.iter_mut().zip(x).zip(&scale.values) {
                            *out = *x * *scale;
                        }
                    }
                },
            )
        })
    }

    fn residual(
        &self,
        x: &Self::Buffer,
        y: &Self::Buffer,
        scale: Option<&Self::Buffer>,
    ) -> Self::Buffer {
        assert_eq!(x.values.len(), y.values.len());
        let columns = scale.map_or(1, |s| s.values.len());
        self.by_rows(x.values.len(), columns, |first, out| {
            let x = &x.values[first * columns..][..out.len()];
            let y = &y.values[first * columns..][..out.len()];
            real::vectorised(
                #[inline(always)]
                || match scale {
                    Some(scale) => {
                        let rows = out
                            .chunks_exact_mut(columns)
                            .zip(x.chunks_exact(columns))
                            .zip(y.chunks_exact(columns));
                        for ((out, x), y) in rows {
                            for (((out, x), y), scale) in
                                out.iter_mut().zip(x).zip(y).zip(&scale.values)
                            {
                                *out = *x + *y * *scale;
                            }
                        }
                    }
                    None => {
                        for ((out, x), y) in out.iter_mut().zip(x).zip(y) {
                            *out = *x + *y;
                        }
                    }
                },
            )
        })
    }

    fn layer_norm(
        &self,
        x: &Self::Buffer,
        gain: &Self::Buffer,
        bias: &Self::Buffer,
        epsilon: f64,
    ) -> (Self::Buffer, Self::Buffer) {
        norm::forward(self, &x.values, &gain.values, &bias.values, T::from_f64(epsilon))
    }

    fn layer_norm_backward(
        &self,
        dy: &Self::Buffer,
        x: &Self::Buffer,
        statistics: &Self::Buffer,
        gain: &Self::Buffer,
    ) -> Self::Buffer {
        norm::backward(self, &dy.values, &x.values, &statistics.values, &gain.values)
    }

    fn normalised(&self, x: &Self::Buffer, statistics: &Self::Buffer) -> Self::Buffer {
        norm::normalised(self, &x.values, &statistics.values)
    }

    fn activation(&self, kind: Activation, x: &Self::Buffer) -> Self::Buffer {
        activation::forward(self, kind, &x.values)
    }

    fn activation_backward(
        &self,
        kind: Activation,
        dy: &Self::Buffer,
        x: &Self::Buffer,
    ) -> Self::Buffer {
        activation::backward(self, kind, &dy.values, &x.values)
    }

    fn attention(
        &self,
        size: AttentionSize,
        q: &Self::Buffer,
        k: &Self::Buffer,
        v: &Self::Buffer,
    ) -> (Self::Buffer, Self::Buffer) {
        attention::forward(self, size, &q.values, &k.values, &v.values)
    }

    fn attention_backward(
        &self,
        size: AttentionSize,
        dy: &Self::Buffer,
        qkv: [&Self::Buffer; 3],
        _y: &Self::Buffer,
        softmax: &Self::Buffer,
    ) -> [Self::Buffer; 3] {
        attention::backward(
            self,
            size,
            &dy.values,
            qkv.map(|x| x.values.as_slice()),
            &softmax.values,
        )
    }

    fn l2_normalise(
        &self,
        x: &Self::Buffer,
        columns: usize,
        epsilon: f64,
    ) -> (Self::Buffer, Self::Buffer) {
        norm::l2(self, &x.values, columns, T::from_f64(epsilon))
    }

    fn l2_normalise_backward(
        &self,
        dy: &Self::Buffer,
        y: &Self::Buffer,
        divisors: &Self::Buffer,
        epsilon: f64,
    ) -> Self::Buffer {
        norm::l2_backward(self, &dy.values, &y.values, &divisors.values, T::from_f64(epsilon))
    }

    fn patches(&self, size: PatchSize, images: &Self::Buffer) -> Self::Buffer {
        embed::patches(self, size, &images.values)
    }

    fn patches_backward(&self, size: PatchSize, dy: &Self::Buffer) -> Self::Buffer {
        embed::patches_backward(self, size, &dy.values)
    }

    fn tokens(
        &self,
        patches: &Self::Buffer,
        cls: &Self::Buffer,
        positions: &Self::Buffer,
    ) -> Self::Buffer {
        embed::tokens(self, &patches.values, &cls.values, &positions.values)
    }

    fn tokens_backward(
        &self,
        dy: &Self::Buffer,
        columns: usize,
        tokens: usize,
    ) -> [Self::Buffer; 3] {
        embed::tokens_backward(self, &dy.values, columns, tokens)
    }

    fn first_rows(&self, x: &Self::Buffer, columns: usize, tokens: usize) -> Self::Buffer {
        embed::first_rows(self, &x.values, columns, tokens)
    }

    fn first_rows_backward(
        &self,
        dy: &Self::Buffer,
        columns: usize,
        tokens: usize,
    ) -> Self::Buffer {
        embed::first_rows_backward(self, &dy.values, columns, tokens)
    }

    fn token_moments(
        &self,
        x: &Self::Buffer,
        columns: usize,
        tokens: usize,
        epsilon: f64,
    ) -> Self::Buffer {
        embed::token_moments(self, &x.values, columns, tokens, T::from_f64(epsilon))
    }

    fn token_moments_backward(
        &self,
        dy: &Self::Buffer,
        x: &Self::Buffer,
        y: &Self::Buffer,
        columns: usize,
        tokens: usize,
    ) -> Self::Buffer {
        embed::token_moments_backward(self, [&dy.values, &x.values, &y.values], columns, tokens)
    }

    fn cross_entropy(
        &self,
        logits: &Self::Buffer,
        classes: usize,
        labels: &[u32],
    ) -> (Self::Buffer, Self::Buffer) {
        loss::cross_entropy(self, &logits.values, classes, labels)
    }

    fn cross_entropy_backward(
        &self,
        dy: &Self::Buffer,
        softmax: &Self::Buffer,
        classes: usize,
        labels: &[u32],
    ) -> Self::Buffer {
        loss::cross_entropy_backward(self, dy.values[0], &softmax.values, classes, labels)
    }

    fn warp(&self, size: ImageSize, images: &Self::Buffer, maps: &[Affine]) -> Self::Buffer {
        warp::forward(self, size, &images.values, maps)
    }

    fn warp_backward(&self, size: ImageSize, dy: &Self::Buffer, maps: &[Affine]) -> Self::Buffer {
        warp::backward(self, size, &dy.values, maps)
    }

    fn colour(&self, size: ImageSize, images: &Self::Buffer, changes: &[Colour]) -> Self::Buffer {
        colour::forward(self, size, &images.values, changes)
    }

    fn colour_backward(
        &self,
        size: ImageSize,
        dy: &Self::Buffer,
        changes: &[Colour],
    ) -> Self::Buffer {
        colour::backward(self, size, &dy.values, changes)
    }

    fn cutout(&self, size: ImageSize, images: &Self::Buffer, cut: &[Rectangle]) -> Self::Buffer {
        colour::cutout(self, size, &images.values, cut)
    }

    fn adamw(&self, settings: AdamW, updates: Vec<Update<Self::Buffer>>) {
        for Update { weight, gradient, state: [first, second] } in updates {
            optimiser::adamw(
                settings,
                self.own(weight),
                &gradient.values,
                self.own(first),
                self.own(second),
            );
        }
    }
}

impl<T: Real> Cpu<T> {
    /// The values of `buffer` for writing; copied first if somebody else holds them too.
    fn own<'a>(&self, buffer: &'a mut Arc<Chunk<T>>) -> &'a mut Vec<T> {
        if Arc::get_mut(buffer).is_none() {
            let mut copy = self.take(buffer.values.len());
            copy.copy_from_slice(&buffer.values);
            *buffer = self.wrap(copy);
        }
        &mut Arc::get_mut(buffer).expect("just made, so nobody else holds it").values
    }

    /// Adds up rows with `add(row, sum)`; blocks of a fixed size, so that the result does not
    /// depend on the threads.
    fn reduce_rows(
        &self,
        len: usize,
        columns: usize,
        add: impl Fn(usize, &mut [T]) + Sync,
    ) -> Arc<Chunk<T>> {
        const BLOCK: usize = 256;
        let rows = len / columns;
        let partial: Vec<Vec<T>> = (0..rows.div_ceil(BLOCK))
            .into_par_iter()
            .map(|block| {
                let mut sum = vec![T::ZERO; columns];
                real::vectorised(
                    #[inline(always)]
                    || {
                        for row in block * BLOCK..rows.min((block + 1) * BLOCK) {
                            add(row, &mut sum);
                        }
                    },
                );
                sum
            })
            .collect();
        let mut total = self.take(columns);
        total.fill(T::ZERO);
        for sum in partial {
            for (total, sum) in total.iter_mut().zip(sum) {
                *total += sum;
            }
        }
        self.wrap(total)
    }
}

/// Splits `values` into runs of whole rows and calls `fill(first_row, rows)` on each, in parallel.
fn rows_mut<T: Send>(values: &mut [T], columns: usize, fill: impl Fn(usize, &mut [T]) + Sync) {
    assert_eq!(values.len() % columns, 0);
    let rows = (GRAIN / columns).max(1);
    values.par_chunks_mut(rows * columns).enumerate().for_each(|(i, chunk)| fill(i * rows, chunk));
}
