//! A GPU's answer to each operation of a device: which kernels compute it.

use std::sync::Arc;

use medforge_shaders::Element;

use crate::Error;
use crate::device::{
    Activation, AdamW, Affine, AttentionSize, Colour, Device, Form, ImageSize, PatchRows,
    PatchSize, Rectangle, RotarySize, Size, TokenParts, TokenSize, Update,
};

use super::buffers::PADDING;
use super::matmul::{self, Matrix};
use super::pool::Chunk;
use super::{Gpu, attention, optimiser};

type Buffer = Arc<Chunk>;

impl Device for Gpu {
    type Buffer = Buffer;

    fn upload(&self, values: &[f32]) -> Buffer {
        self.engine.upload(bytemuck::cast_slice(values), values.len(), Element::F32)
    }

    fn upload_frozen(&self, values: &[f32]) -> Buffer {
        match self.engine.precision {
            Element::F32 => self.upload(values),
            Element::F16 => {
                let narrow: Vec<half::f16> =
                    values.iter().map(|v| half::f16::from_f32(*v)).collect();
                self.engine.upload(bytemuck::cast_slice(&narrow), values.len(), Element::F16)
            }
        }
    }

    fn download(&self, buffer: &Buffer) -> Result<Vec<f32>, Error> {
        let wide = match buffer.element {
            Element::F32 => buffer.clone(),
            Element::F16 => self.engine.convert(buffer, Element::F32),
        };
        let bytes = self.engine.read(&wide)?;
        Ok(bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
    }

    fn zeros(&self, len: usize) -> Buffer {
        let buffer = self.engine.allocate(len, Element::F32);
        self.engine.fill(&buffer, 0.0);
        buffer
    }

    fn submit(&self) {
        self.engine.submit();
    }

    fn largest_buffer(&self) -> usize {
        let adapter = &self.engine.adapter;
        usize::try_from(adapter.largest_buffer.min(adapter.largest_binding) / 4)
            .unwrap_or(usize::MAX)
    }

    fn memory_left(&self) -> Option<u64> {
        self.engine.memory_left()
    }

    fn bound(&self, bytes: u64) {
        self.engine.bound(bytes);
    }

    fn padding(&self) -> u64 {
        PADDING
    }

    /// Scores before their softmax, their padding, partial sums.
    fn overhead(&self) -> u64 {
        25
    }

    fn loss_gradient(&self) -> Buffer {
        match &self.scaler {
            // The state's first value is the scale.
            Some(state) => self.rows(state, Element::F32, 1, 1, [1, 1, 0], false),
            None => self.upload(&[1.0]),
        }
    }

    fn matmul(&self, form: Form, size: Size, alpha: f64, a: &Buffer, b: &Buffer) -> Buffer {
        self.product(form, size, alpha, a, b)
    }

    fn matmul_add(
        &self,
        c: &mut Buffer,
        form: Form,
        size: Size,
        alpha: f64,
        a: &Buffer,
        b: &Buffer,
    ) {
        let c = self.own(c);
        matmul::run(
            &self.engine,
            &matmul::Product {
                a: Matrix::plain(a, form.stride_a(size)),
                b: Matrix::plain(b, form.stride_b(size)),
                accumulate: true,
                ..matmul::Product::new(form, size, alpha, a, b, Matrix::plain(c, size.n))
            },
        );
    }

    fn linear(&self, size: Size, x: &Buffer, w: &Buffer, bias: &Buffer) -> Buffer {
        self.linear_with(size, x, w, bias, None).0
    }

    fn linear_activation(
        &self,
        kind: Activation,
        size: Size,
        x: &Buffer,
        w: &Buffer,
        bias: &Buffer,
    ) -> (Buffer, Buffer) {
        let (before, after) = self.linear_with(size, x, w, bias, Some(kind));
        (before, after.expect("an activation was asked for"))
    }

    fn add_scaled(&self, into: &mut Buffer, alpha: f64, x: &Buffer) {
        let into = self.own(into);
        self.engine.add_scaled(into, alpha as f32, x);
    }

    fn column_sum(&self, x: &Buffer, columns: usize) -> Buffer {
        self.reduce_rows(x, None, columns)
    }

    fn column_dot(&self, x: &Buffer, y: &Buffer, columns: usize) -> Buffer {
        self.reduce_rows(x, Some(y), columns)
    }

    fn scale_columns(&self, x: &Buffer, scale: &Buffer) -> Buffer {
        self.sum_scaled(None, x, Some(scale))
    }

    fn residual(&self, x: &Buffer, y: &Buffer, scale: Option<&Buffer>) -> Buffer {
        self.sum_scaled(Some(x), y, scale)
    }

    fn layer_norm(
        &self,
        x: &Buffer,
        gain: &Buffer,
        bias: &Buffer,
        epsilon: f64,
    ) -> (Buffer, Buffer) {
        self.norm(x, gain, bias, epsilon)
    }

    fn layer_norm_backward(
        &self,
        dy: &Buffer,
        x: &Buffer,
        statistics: &Buffer,
        gain: &Buffer,
    ) -> Buffer {
        self.norm_backward(dy, x, statistics, gain)
    }

    fn normalised(&self, x: &Buffer, statistics: &Buffer) -> Buffer {
        self.norm_only(x, statistics)
    }

    fn activation(&self, kind: Activation, x: &Buffer) -> Buffer {
        self.activate(kind, x, None)
    }

    fn activation_backward(&self, kind: Activation, dy: &Buffer, x: &Buffer) -> Buffer {
        self.activate(kind, x, Some(dy))
    }

    fn gated(&self, kind: Activation, g: &Buffer, u: &Buffer) -> Buffer {
        self.gate(kind, g, u)
    }

    fn gated_backward(&self, kind: Activation, dy: &Buffer, g: &Buffer, u: &Buffer) -> [Buffer; 2] {
        self.gate_backward(kind, [g, u, dy])
    }

    fn rotate(&self, size: RotarySize, x: &Buffer, tables: [&Buffer; 2]) -> Buffer {
        self.turn(size, x, tables, false)
    }

    fn rotate_backward(&self, size: RotarySize, dy: &Buffer, tables: [&Buffer; 2]) -> Buffer {
        self.turn(size, dy, tables, true)
    }

    fn l2_normalise(&self, x: &Buffer, columns: usize, epsilon: f64) -> (Buffer, Buffer) {
        self.l2(x, columns, epsilon)
    }

    fn l2_normalise_backward(
        &self,
        dy: &Buffer,
        y: &Buffer,
        divisors: &Buffer,
        epsilon: f64,
    ) -> Buffer {
        self.l2_backward(dy, y, divisors, epsilon)
    }

    fn attention(
        &self,
        size: AttentionSize,
        q: &Buffer,
        k: &Buffer,
        v: &Buffer,
    ) -> (Buffer, Vec<Buffer>) {
        let (y, saved) = attention::forward(self, size, [q, k, v]);
        (y.clone(), vec![y, saved])
    }

    fn attention_backward(
        &self,
        size: AttentionSize,
        dy: &Buffer,
        qkv: [&Buffer; 3],
        saved: &[Buffer],
    ) -> [Buffer; 3] {
        attention::backward(self, size, dy, qkv, &saved[0], &saved[1])
    }

    fn patches(&self, size: PatchSize, images: &Buffer) -> Buffer {
        self.cut(size, images, false)
    }

    fn patches_backward(&self, size: PatchSize, dy: &Buffer) -> Buffer {
        self.cut(size, dy, true)
    }

    fn tokens(&self, size: TokenSize, parts: TokenParts<&Buffer>) -> Buffer {
        self.embed(size, parts)
    }

    fn tokens_backward(&self, size: TokenSize, dy: &Buffer) -> TokenParts<Buffer> {
        self.embed_backward(size, dy)
    }

    fn first_rows(&self, x: &Buffer, columns: usize, tokens: usize) -> Buffer {
        self.rows(x, x.element, x.len / columns / tokens, columns, [1, tokens, 0], false)
    }

    fn first_rows_backward(&self, dy: &Buffer, columns: usize, tokens: usize) -> Buffer {
        self.rows(dy, dy.element, dy.len / columns * tokens, columns, [1, tokens, 0], true)
    }

    fn patch_mean(&self, rows: PatchRows, x: &Buffer, class: bool) -> Buffer {
        self.mean(rows, x, class, false)
    }

    fn patch_mean_backward(&self, rows: PatchRows, dy: &Buffer, class: bool) -> Buffer {
        self.mean(rows, dy, class, true)
    }

    fn token_moments(&self, rows: PatchRows, x: &Buffer, epsilon: f64) -> Buffer {
        self.moments(rows, x, epsilon)
    }

    fn token_moments_backward(
        &self,
        rows: PatchRows,
        dy: &Buffer,
        x: &Buffer,
        y: &Buffer,
    ) -> Buffer {
        self.moments_backward(rows, [dy, x, y])
    }

    fn cross_entropy(&self, logits: &Buffer, classes: usize, labels: &[u32]) -> (Buffer, Buffer) {
        self.likelihood(logits, classes, labels)
    }

    fn cross_entropy_backward(
        &self,
        dy: &Buffer,
        softmax: &Buffer,
        classes: usize,
        labels: &[u32],
    ) -> Buffer {
        self.likelihood_backward(dy, softmax, classes, labels)
    }

    fn warp(&self, size: ImageSize, images: &Buffer, maps: &[Affine]) -> Buffer {
        self.warped(size, images, maps, false)
    }

    fn warp_backward(&self, size: ImageSize, dy: &Buffer, maps: &[Affine]) -> Buffer {
        self.warped(size, dy, maps, true)
    }

    fn colour(&self, size: ImageSize, images: &Buffer, changes: &[Colour]) -> Buffer {
        self.recoloured(size, images, changes)
    }

    fn colour_backward(&self, size: ImageSize, dy: &Buffer, changes: &[Colour]) -> Buffer {
        // Linear and symmetric but for the brightness: its own gradient without it.
        let linear: Vec<_> = changes.iter().map(|c| Colour { brightness: 0.0, ..*c }).collect();
        self.recoloured(size, dy, &linear)
    }

    fn cutout(&self, size: ImageSize, images: &Buffer, cut: &[Rectangle]) -> Buffer {
        self.cut_out(size, images, cut)
    }

    fn adamw(&self, settings: AdamW, updates: Vec<Update<Buffer>>) {
        optimiser::adamw(self, settings, updates);
    }
}
