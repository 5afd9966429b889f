//! The processor's answer to each operation of a device: which module computes it.

use std::sync::Arc;

use crate::Error;
use crate::device::{
    Activation, AdamW, Affine, AttentionSize, Colour, Device, Form, ImageSize, PatchRows,
    PatchSize, Rectangle, RotarySize, Size, TokenParts, TokenSize, Update,
};

use super::matmul::Product;
use super::{
    Chunk, Cpu, Real, activation, attention, colour, elementwise, embed, loss, norm, optimiser,
    rotate, rows_mut, tokens, warp,
};

type Buffer<T> = Arc<Chunk<T>>;

impl<T: Real> Device for Cpu<T> {
    type Buffer = Buffer<T>;

    fn upload(&self, values: &[f32]) -> Buffer<T> {
        let mut buffer = self.take(values.len());
        for (to, from) in buffer.iter_mut().zip(values) {
            *to = T::from_f64(f64::from(*from));
        }
        self.wrap(buffer)
    }

    fn download(&self, buffer: &Buffer<T>) -> Result<Vec<f32>, Error> {
        Ok(buffer.values.iter().map(|v| v.to_f64() as f32).collect())
    }

    fn zeros(&self, len: usize) -> Buffer<T> {
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
        a: &Buffer<T>,
        b: &Buffer<T>,
    ) -> Buffer<T> {
        let mut c = self.take(size.m * size.n);
        let product = Product::whole(form, size, &a.values, &b.values);
        product.times(T::from_f64(alpha)).write(&mut c);
        self.wrap(c)
    }

    fn matmul_add(
        &self,
        c: &mut Buffer<T>,
        form: Form,
        size: Size,
        alpha: f64,
        a: &Buffer<T>,
        b: &Buffer<T>,
    ) {
        let c = self.own(c);
        let product = Product::whole(form, size, &a.values, &b.values);
        product.times(T::from_f64(alpha)).added().write(c);
    }

    fn linear(&self, size: Size, x: &Buffer<T>, w: &Buffer<T>, bias: &Buffer<T>) -> Buffer<T> {
        let mut y = self.take(size.m * size.n);
        rows_mut(&mut y, size.n, |_, rows| {
            for row in rows.chunks_exact_mut(size.n) {
                row.copy_from_slice(&bias.values);
            }
        });
        Product::whole(Form::Nt, size, &x.values, &w.values).added().write(&mut y);
        self.wrap(y)
    }

    fn add_scaled(&self, into: &mut Buffer<T>, alpha: f64, x: &Buffer<T>) {
        elementwise::add_scaled(self.own(into), T::from_f64(alpha), &x.values);
    }

    fn column_sum(&self, x: &Buffer<T>, columns: usize) -> Buffer<T> {
        elementwise::column_sum(self, &x.values, columns)
    }

    fn column_dot(&self, x: &Buffer<T>, y: &Buffer<T>, columns: usize) -> Buffer<T> {
        elementwise::column_dot(self, &x.values, &y.values, columns)
    }

    fn scale_columns(&self, x: &Buffer<T>, scale: &Buffer<T>) -> Buffer<T> {
        elementwise::scale_columns(self, &x.values, &scale.values)
    }

    fn residual(&self, x: &Buffer<T>, y: &Buffer<T>, scale: Option<&Buffer<T>>) -> Buffer<T> {
        elementwise::residual(self, &x.values, &y.values, scale.map(|s| s.values.as_slice()))
    }

    fn layer_norm(
        &self,
        x: &Buffer<T>,
        gain: &Buffer<T>,
        bias: &Buffer<T>,
        epsilon: f64,
    ) -> (Buffer<T>, Buffer<T>) {
        norm::forward(self, &x.values, &gain.values, &bias.values, T::from_f64(epsilon))
    }

    fn layer_norm_backward(
        &self,
        dy: &Buffer<T>,
        x: &Buffer<T>,
        statistics: &Buffer<T>,
        gain: &Buffer<T>,
    ) -> Buffer<T> {
        norm::backward(self, &dy.values, &x.values, &statistics.values, &gain.values)
    }

    fn normalised(&self, x: &Buffer<T>, statistics: &Buffer<T>) -> Buffer<T> {
        norm::normalised(self, &x.values, &statistics.values)
    }

    fn activation(&self, kind: Activation, x: &Buffer<T>) -> Buffer<T> {
        activation::forward(self, kind, &x.values)
    }

    fn activation_backward(&self, kind: Activation, dy: &Buffer<T>, x: &Buffer<T>) -> Buffer<T> {
        activation::backward(self, kind, &dy.values, &x.values)
    }

    fn gated(&self, kind: Activation, g: &Buffer<T>, u: &Buffer<T>) -> Buffer<T> {
        activation::gated(self, kind, &g.values, &u.values)
    }

    fn gated_backward(
        &self,
        kind: Activation,
        dy: &Buffer<T>,
        g: &Buffer<T>,
        u: &Buffer<T>,
    ) -> [Buffer<T>; 2] {
        activation::gated_backward(self, kind, &dy.values, [&g.values, &u.values])
    }

    fn rotate(&self, size: RotarySize, x: &Buffer<T>, tables: [&Buffer<T>; 2]) -> Buffer<T> {
        let [cos, sin] = tables.map(|table| table.values.as_slice());
        rotate::rotate(self, size, &x.values, |place| (cos[place], sin[place]))
    }

    fn rotate_backward(
        &self,
        size: RotarySize,
        dy: &Buffer<T>,
        tables: [&Buffer<T>; 2],
    ) -> Buffer<T> {
        let [cos, sin] = tables.map(|table| table.values.as_slice());
        rotate::rotate(self, size, &dy.values, |place| (cos[place], -sin[place]))
    }

    fn attention(
        &self,
        size: AttentionSize,
        q: &Buffer<T>,
        k: &Buffer<T>,
        v: &Buffer<T>,
    ) -> (Buffer<T>, Buffer<T>) {
        attention::forward(self, size, &q.values, &k.values, &v.values)
    }

    fn attention_backward(
        &self,
        size: AttentionSize,
        dy: &Buffer<T>,
        qkv: [&Buffer<T>; 3],
        _y: &Buffer<T>,
        softmax: &Buffer<T>,
    ) -> [Buffer<T>; 3] {
        attention::backward(
            self,
            size,
            &dy.values,
            qkv.map(|x| x.values.as_slice()),
            &softmax.values,
        )
    }

    fn l2_normalise(&self, x: &Buffer<T>, columns: usize, epsilon: f64) -> (Buffer<T>, Buffer<T>) {
        norm::l2(self, &x.values, columns, T::from_f64(epsilon))
    }

    fn l2_normalise_backward(
        &self,
        dy: &Buffer<T>,
        y: &Buffer<T>,
        divisors: &Buffer<T>,
        epsilon: f64,
    ) -> Buffer<T> {
        norm::l2_backward(self, &dy.values, &y.values, &divisors.values, T::from_f64(epsilon))
    }

    fn patches(&self, size: PatchSize, images: &Buffer<T>) -> Buffer<T> {
        embed::patches(self, size, &images.values)
    }

    fn patches_backward(&self, size: PatchSize, dy: &Buffer<T>) -> Buffer<T> {
        embed::patches_backward(self, size, &dy.values)
    }

    fn tokens(&self, size: TokenSize, parts: TokenParts<&Buffer<T>>) -> Buffer<T> {
        embed::tokens(self, size, parts.map(|part| part.values.as_slice()))
    }

    fn tokens_backward(&self, size: TokenSize, dy: &Buffer<T>) -> TokenParts<Buffer<T>> {
        embed::tokens_backward(self, size, &dy.values)
    }

    fn first_rows(&self, x: &Buffer<T>, columns: usize, tokens: usize) -> Buffer<T> {
        tokens::first(self, &x.values, columns, tokens)
    }

    fn first_rows_backward(&self, dy: &Buffer<T>, columns: usize, tokens: usize) -> Buffer<T> {
        tokens::first_backward(self, &dy.values, columns, tokens)
    }

    fn patch_mean(&self, rows: PatchRows, x: &Buffer<T>, class: bool) -> Buffer<T> {
        tokens::mean(self, rows, &x.values, class)
    }

    fn patch_mean_backward(&self, rows: PatchRows, dy: &Buffer<T>, class: bool) -> Buffer<T> {
        tokens::mean_backward(self, rows, &dy.values, class)
    }

    fn token_moments(&self, rows: PatchRows, x: &Buffer<T>, epsilon: f64) -> Buffer<T> {
        tokens::moments(self, rows, &x.values, T::from_f64(epsilon))
    }

    fn token_moments_backward(
        &self,
        rows: PatchRows,
        dy: &Buffer<T>,
        x: &Buffer<T>,
        y: &Buffer<T>,
    ) -> Buffer<T> {
        tokens::moments_backward(self, rows, [&dy.values, &x.values, &y.values])
    }

    fn cross_entropy(
        &self,
        logits: &Buffer<T>,
        classes: usize,
        labels: &[u32],
    ) -> (Buffer<T>, Buffer<T>) {
        loss::cross_entropy(self, &logits.values, classes, labels)
    }

    fn cross_entropy_backward(
        &self,
        dy: &Buffer<T>,
        softmax: &Buffer<T>,
        classes: usize,
        labels: &[u32],
    ) -> Buffer<T> {
        loss::cross_entropy_backward(self, dy.values[0], &softmax.values, classes, labels)
    }

    fn warp(&self, size: ImageSize, images: &Buffer<T>, maps: &[Affine]) -> Buffer<T> {
        warp::forward(self, size, &images.values, maps)
    }

    fn warp_backward(&self, size: ImageSize, dy: &Buffer<T>, maps: &[Affine]) -> Buffer<T> {
        warp::backward(self, size, &dy.values, maps)
    }

    fn colour(&self, size: ImageSize, images: &Buffer<T>, changes: &[Colour]) -> Buffer<T> {
        colour::forward(self, size, &images.values, changes)
    }

    fn colour_backward(&self, size: ImageSize, dy: &Buffer<T>, changes: &[Colour]) -> Buffer<T> {
        colour::backward(self, size, &dy.values, changes)
    }

    fn cutout(&self, size: ImageSize, images: &Buffer<T>, cut: &[Rectangle]) -> Buffer<T> {
        colour::cutout(self, size, &images.values, cut)
    }

    fn adamw(&self, settings: AdamW, updates: Vec<Update<Buffer<T>>>) {
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
