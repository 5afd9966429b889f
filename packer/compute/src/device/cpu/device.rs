//! The processor's answer to each operation of a device: which module computes it.

use std::sync::Arc;

use crate::Error;
use crate::device::{
    Activation, AdamW, Affine, AttentionSize, Colour, Device, Form, ImageSize, PatchRows,
    PatchSize, Rectangle, RotarySize, Size, Stored, TokenParts, TokenSize, Update,
};

use super::factors::Factors;
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

    fn upload_stored(&self, values: &Stored) -> Buffer<T> {
        Arc::new(Chunk::stored(values, &self.pool))
    }

    fn shares(&self) -> bool {
        true
    }

    fn download(&self, buffer: &Buffer<T>) -> Result<Vec<f32>, Error> {
        Ok(self.read(buffer).iter().map(|v| v.to_f64() as f32).collect())
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
        Factors { form, size, alpha: T::from_f64(alpha), add: false }.multiply(self, a, b, &mut c);
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
        Factors { form, size, alpha: T::from_f64(alpha), add: true }.multiply(
            self,
            a,
            b,
            self.own(c),
        );
    }

    fn linear(&self, size: Size, x: &Buffer<T>, w: &Buffer<T>, bias: &Buffer<T>) -> Buffer<T> {
        let mut y = self.take(size.m * size.n);
        let bias = self.read(bias);
        rows_mut(&mut y, size.n, |_, rows| {
            for row in rows.chunks_exact_mut(size.n) {
                row.copy_from_slice(&bias);
            }
        });
        Factors { form: Form::Nt, size, alpha: T::ONE, add: true }.multiply(self, x, w, &mut y);
        self.wrap(y)
    }

    fn add_scaled(&self, into: &mut Buffer<T>, alpha: f64, x: &Buffer<T>) {
        elementwise::add_scaled(self.own(into), T::from_f64(alpha), &self.read(x));
    }

    fn column_sum(&self, x: &Buffer<T>, columns: usize) -> Buffer<T> {
        elementwise::column_sum(self, &self.read(x), columns)
    }

    fn column_dot(&self, x: &Buffer<T>, y: &Buffer<T>, columns: usize) -> Buffer<T> {
        elementwise::column_dot(self, &self.read(x), &self.read(y), columns)
    }

    fn scale_columns(&self, x: &Buffer<T>, scale: &Buffer<T>) -> Buffer<T> {
        elementwise::scale_columns(self, &self.read(x), &self.read(scale))
    }

    fn residual(&self, x: &Buffer<T>, y: &Buffer<T>, scale: Option<&Buffer<T>>) -> Buffer<T> {
        elementwise::residual(
            self,
            &self.read(x),
            &self.read(y),
            scale.map(|s| self.read(s)).as_deref(),
        )
    }

    fn layer_norm(
        &self,
        x: &Buffer<T>,
        gain: &Buffer<T>,
        bias: &Buffer<T>,
        epsilon: f64,
    ) -> (Buffer<T>, Buffer<T>) {
        norm::forward(self, &self.read(x), &self.read(gain), &self.read(bias), T::from_f64(epsilon))
    }

    fn layer_norm_backward(
        &self,
        dy: &Buffer<T>,
        x: &Buffer<T>,
        statistics: &Buffer<T>,
        gain: &Buffer<T>,
    ) -> Buffer<T> {
        norm::backward(
            self,
            &self.read(dy),
            &self.read(x),
            &self.read(statistics),
            &self.read(gain),
        )
    }

    fn normalised(&self, x: &Buffer<T>, statistics: &Buffer<T>) -> Buffer<T> {
        norm::normalised(self, &self.read(x), &self.read(statistics))
    }

    fn activation(&self, kind: Activation, x: &Buffer<T>) -> Buffer<T> {
        activation::forward(self, kind, &self.read(x))
    }

    fn activation_backward(&self, kind: Activation, dy: &Buffer<T>, x: &Buffer<T>) -> Buffer<T> {
        activation::backward(self, kind, &self.read(dy), &self.read(x))
    }

    fn keeps_softmax(&self) -> bool {
        false
    }

    fn gated(&self, kind: Activation, g: &Buffer<T>, u: &Buffer<T>) -> Buffer<T> {
        activation::gated(self, kind, &self.read(g), &self.read(u))
    }

    fn gated_backward(
        &self,
        kind: Activation,
        dy: &Buffer<T>,
        g: &Buffer<T>,
        u: &Buffer<T>,
    ) -> [Buffer<T>; 2] {
        activation::gated_backward(self, kind, &self.read(dy), [&self.read(g), &self.read(u)])
    }

    fn rotate(&self, size: RotarySize, x: &Buffer<T>, tables: [&Buffer<T>; 2]) -> Buffer<T> {
        let [cos, sin] = tables.map(|table| self.read(table));
        rotate::rotate(self, size, &self.read(x), |place| (cos[place], sin[place]))
    }

    fn rotate_backward(
        &self,
        size: RotarySize,
        dy: &Buffer<T>,
        tables: [&Buffer<T>; 2],
    ) -> Buffer<T> {
        let [cos, sin] = tables.map(|table| self.read(table));
        rotate::rotate(self, size, &self.read(dy), |place| (cos[place], -sin[place]))
    }

    fn attention(
        &self,
        size: AttentionSize,
        q: &Buffer<T>,
        k: &Buffer<T>,
        v: &Buffer<T>,
    ) -> (Buffer<T>, Vec<Buffer<T>>) {
        let qkv = [q, k, v].map(|x| self.read(x));
        (attention::forward(self, size, qkv.each_ref().map(|x| &**x)), Vec::new())
    }

    fn attention_backward(
        &self,
        size: AttentionSize,
        dy: &Buffer<T>,
        qkv: [&Buffer<T>; 3],
        _: &[Buffer<T>],
    ) -> [Buffer<T>; 3] {
        let qkv = qkv.map(|x| self.read(x));
        attention::backward(self, size, &self.read(dy), qkv.each_ref().map(|x| &**x))
    }

    fn l2_normalise(&self, x: &Buffer<T>, columns: usize, epsilon: f64) -> (Buffer<T>, Buffer<T>) {
        norm::l2(self, &self.read(x), columns, T::from_f64(epsilon))
    }

    fn l2_normalise_backward(
        &self,
        dy: &Buffer<T>,
        y: &Buffer<T>,
        divisors: &Buffer<T>,
        epsilon: f64,
    ) -> Buffer<T> {
        norm::l2_backward(
            self,
            &self.read(dy),
            &self.read(y),
            &self.read(divisors),
            T::from_f64(epsilon),
        )
    }

    fn patches(&self, size: PatchSize, images: &Buffer<T>) -> Buffer<T> {
        embed::patches(self, size, &self.read(images))
    }

    fn patches_backward(&self, size: PatchSize, dy: &Buffer<T>) -> Buffer<T> {
        embed::patches_backward(self, size, &self.read(dy))
    }

    fn tokens(&self, size: TokenSize, parts: TokenParts<&Buffer<T>>) -> Buffer<T> {
        let parts = parts.map(|part| self.read(part));
        embed::tokens(self, size, parts.as_ref().map(|part| &**part))
    }

    fn tokens_backward(&self, size: TokenSize, dy: &Buffer<T>) -> TokenParts<Buffer<T>> {
        embed::tokens_backward(self, size, &self.read(dy))
    }

    fn first_rows(&self, x: &Buffer<T>, columns: usize, tokens: usize) -> Buffer<T> {
        tokens::first(self, &self.read(x), columns, tokens)
    }

    fn first_rows_backward(&self, dy: &Buffer<T>, columns: usize, tokens: usize) -> Buffer<T> {
        tokens::first_backward(self, &self.read(dy), columns, tokens)
    }

    fn patch_mean(&self, rows: PatchRows, x: &Buffer<T>, class: bool) -> Buffer<T> {
        tokens::mean(self, rows, &self.read(x), class)
    }

    fn patch_mean_backward(&self, rows: PatchRows, dy: &Buffer<T>, class: bool) -> Buffer<T> {
        tokens::mean_backward(self, rows, &self.read(dy), class)
    }

    fn token_moments(&self, rows: PatchRows, x: &Buffer<T>, epsilon: f64) -> Buffer<T> {
        tokens::moments(self, rows, &self.read(x), T::from_f64(epsilon))
    }

    fn token_moments_backward(
        &self,
        rows: PatchRows,
        dy: &Buffer<T>,
        x: &Buffer<T>,
        y: &Buffer<T>,
    ) -> Buffer<T> {
        tokens::moments_backward(self, rows, [&self.read(dy), &self.read(x), &self.read(y)])
    }

    fn cross_entropy(
        &self,
        logits: &Buffer<T>,
        classes: usize,
        labels: &[u32],
    ) -> (Buffer<T>, Buffer<T>) {
        loss::cross_entropy(self, &self.read(logits), classes, labels)
    }

    fn cross_entropy_backward(
        &self,
        dy: &Buffer<T>,
        softmax: &Buffer<T>,
        classes: usize,
        labels: &[u32],
    ) -> Buffer<T> {
        loss::cross_entropy_backward(self, self.read(dy)[0], &self.read(softmax), classes, labels)
    }

    fn warp(&self, size: ImageSize, images: &Buffer<T>, maps: &[Affine]) -> Buffer<T> {
        warp::forward(self, size, &self.read(images), maps)
    }

    fn warp_backward(&self, size: ImageSize, dy: &Buffer<T>, maps: &[Affine]) -> Buffer<T> {
        warp::backward(self, size, &self.read(dy), maps)
    }

    fn colour(&self, size: ImageSize, images: &Buffer<T>, changes: &[Colour]) -> Buffer<T> {
        colour::forward(self, size, &self.read(images), changes)
    }

    fn colour_backward(&self, size: ImageSize, dy: &Buffer<T>, changes: &[Colour]) -> Buffer<T> {
        colour::backward(self, size, &self.read(dy), changes)
    }

    fn cutout(&self, size: ImageSize, images: &Buffer<T>, cut: &[Rectangle]) -> Buffer<T> {
        colour::cutout(self, size, &self.read(images), cut)
    }

    fn adamw(&self, settings: AdamW, updates: Vec<Update<Buffer<T>>>) {
        for Update { weight, gradient, state: [first, second] } in updates {
            optimiser::adamw(
                settings,
                self.own(weight),
                &self.read(gradient),
                self.own(first),
                self.own(second),
            );
        }
    }
}
