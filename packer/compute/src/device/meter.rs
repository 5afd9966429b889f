//! A device that computes nothing and counts: what a computation takes in memory, before it is
//! begun.
//!
//! It asks a pool for every buffer that [`Cpu`](super::cpu::Cpu) asks for, in the same order, and
//! keeps no values. A GPU takes about as much (see [`Device::overhead`]), or less: it stores no
//! scores of large attentions, and with f16 half of most buffers. Where the two differ in what they
//! keep, it counts what its own device does. Every answer is zeros.

use std::sync::Arc;

use crate::Error;

use super::cpu::pool::{Content, Pool};
use super::cpu::{Chunk, panel_columns};
use super::{
    Activation, AdamW, Affine, AttentionSize, Colour, Device, Form, ImageSize, PatchRows,
    PatchSize, Rectangle, RotarySize, Size, Stored, TokenParts, TokenSize, Update,
};

/// Counts buffers of f32.
#[derive(Clone)]
pub struct Meter {
    pool: Arc<Pool<()>>,
    /// As the device says.
    shares: bool,
    keeps_softmax: bool,
}

type Buffer = Arc<Chunk<()>>;

const VALUE: u64 = size_of::<f32>() as u64;

impl Meter {
    /// A device that holds on to every buffer for later. It counts buffers as `of` pads them.
    pub fn new<D: Device>(of: &D) -> Self {
        let pool = Arc::new(Pool::new((of.padding() / VALUE) as usize));
        Meter { pool, shares: of.shares(), keeps_softmax: of.keeps_softmax() }
    }

    /// Bytes of all buffers, in use or kept for later: now, and the most that were at once since
    /// the last bound.
    pub fn held(&self) -> (u64, u64) {
        let (now, most) = self.pool.held();
        (now as u64 * VALUE, most as u64 * VALUE)
    }

    fn take(&self, len: usize) -> Buffer {
        Arc::new(Chunk::new(self.pool.take(len, ()), &self.pool))
    }

    fn like(&self, x: &Buffer) -> Buffer {
        self.take(x.len())
    }

    /// Room that `len` values of `x` are widened into while they are read.
    fn widened(&self, x: &Buffer, len: usize) {
        if matches!(&x.content, Content::Stored(values) if values.is_narrow()) {
            self.take(len);
        }
    }

    /// What a product needs beside its result.
    fn product(&self, form: Form, size: Size, a: &Buffer, b: &Buffer) {
        self.widened(a, a.len());
        let columns = if form == Form::Tn { size.n } else { panel_columns(size) };
        self.widened(b, columns * size.k);
    }

    /// A buffer about to be written is copied where somebody else holds it too.
    fn own(&self, buffer: &mut Buffer) {
        if !matches!(Arc::get_mut(buffer), Some(Chunk { content: Content::Own(_), .. })) {
            *buffer = self.like(buffer);
        }
    }
}

impl Device for Meter {
    type Buffer = Buffer;

    fn upload(&self, values: &[f32]) -> Buffer {
        self.take(values.len())
    }
    fn upload_stored(&self, values: &Stored) -> Buffer {
        if self.shares {
            Arc::new(Chunk::stored(values, &self.pool))
        } else {
            self.take(values.len())
        }
    }
    fn shares(&self) -> bool {
        self.shares
    }
    fn download(&self, buffer: &Buffer) -> Result<Vec<f32>, Error> {
        Ok(vec![0.0; buffer.len()])
    }
    fn zeros(&self, len: usize) -> Buffer {
        self.take(len)
    }
    fn bound(&self, bytes: u64) {
        self.pool.bound(usize::try_from(bytes / VALUE).unwrap_or(usize::MAX));
    }

    fn matmul(&self, form: Form, size: Size, _: f64, a: &Buffer, b: &Buffer) -> Buffer {
        let c = self.take(size.m * size.n);
        self.product(form, size, a, b);
        c
    }
    fn matmul_add(&self, c: &mut Buffer, form: Form, size: Size, _: f64, a: &Buffer, b: &Buffer) {
        self.own(c);
        self.product(form, size, a, b);
    }
    fn linear(&self, size: Size, x: &Buffer, w: &Buffer, _: &Buffer) -> Buffer {
        let y = self.take(size.m * size.n);
        self.product(Form::Nt, size, x, w);
        y
    }
    fn add_scaled(&self, into: &mut Buffer, _: f64, x: &Buffer) {
        self.own(into);
        self.widened(x, x.len());
    }
    fn column_sum(&self, _: &Buffer, columns: usize) -> Buffer {
        self.take(columns)
    }
    fn column_dot(&self, _: &Buffer, _: &Buffer, columns: usize) -> Buffer {
        self.take(columns)
    }
    fn scale_columns(&self, x: &Buffer, _: &Buffer) -> Buffer {
        self.like(x)
    }
    fn residual(&self, x: &Buffer, _: &Buffer, _: Option<&Buffer>) -> Buffer {
        self.like(x)
    }

    fn layer_norm(&self, x: &Buffer, gain: &Buffer, _: &Buffer, _: f64) -> (Buffer, Buffer) {
        let statistics = self.take(2 * x.len() / gain.len());
        (self.like(x), statistics)
    }
    fn layer_norm_backward(&self, dy: &Buffer, _: &Buffer, _: &Buffer, _: &Buffer) -> Buffer {
        self.like(dy)
    }
    fn normalised(&self, x: &Buffer, _: &Buffer) -> Buffer {
        self.like(x)
    }
    fn activation(&self, _: Activation, x: &Buffer) -> Buffer {
        self.like(x)
    }
    fn activation_backward(&self, _: Activation, dy: &Buffer, _: &Buffer) -> Buffer {
        self.like(dy)
    }

    fn gated(&self, _: Activation, g: &Buffer, _: &Buffer) -> Buffer {
        self.like(g)
    }
    fn gated_backward(&self, _: Activation, dy: &Buffer, _: &Buffer, _: &Buffer) -> [Buffer; 2] {
        [(); 2].map(|()| self.like(dy))
    }
    fn rotate(&self, _: RotarySize, x: &Buffer, _: [&Buffer; 2]) -> Buffer {
        self.like(x)
    }
    fn rotate_backward(&self, _: RotarySize, dy: &Buffer, _: [&Buffer; 2]) -> Buffer {
        self.like(dy)
    }

    fn keeps_softmax(&self) -> bool {
        self.keeps_softmax
    }
    fn attention(
        &self,
        size: AttentionSize,
        q: &Buffer,
        _: &Buffer,
        _: &Buffer,
    ) -> (Buffer, Vec<Buffer>) {
        let y = self.like(q);
        if !self.keeps_softmax {
            return (y, Vec::new());
        }
        // Devices that keep it keep whole vectors of four.
        let row = size.tokens.next_multiple_of(4);
        let softmax = self.take(size.batch * size.heads * size.queries * row);
        (y.clone(), vec![y, softmax])
    }
    fn attention_backward(
        &self,
        _: AttentionSize,
        _: &Buffer,
        qkv: [&Buffer; 3],
        saved: &[Buffer],
    ) -> [Buffer; 3] {
        // The gradient to the softmax that was kept.
        let _of_softmax = saved.get(1).map(|softmax| self.like(softmax));
        qkv.map(|x| self.like(x))
    }

    fn l2_normalise(&self, x: &Buffer, columns: usize, _: f64) -> (Buffer, Buffer) {
        let divisors = self.take(x.len() / columns);
        (self.like(x), divisors)
    }
    fn l2_normalise_backward(&self, dy: &Buffer, _: &Buffer, _: &Buffer, _: f64) -> Buffer {
        self.like(dy)
    }

    fn patches(&self, size: PatchSize, _: &Buffer) -> Buffer {
        self.take(size.rows() * size.columns())
    }
    fn patches_backward(&self, size: PatchSize, _: &Buffer) -> Buffer {
        self.take(size.batch * 3 * size.height * size.width)
    }
    fn tokens(&self, size: TokenSize, parts: TokenParts<&Buffer>) -> Buffer {
        self.take(parts.patches.len() / size.patches * size.tokens())
    }
    fn tokens_backward(&self, size: TokenSize, dy: &Buffer) -> TokenParts<Buffer> {
        let patches = self.take(dy.len() / size.tokens() * size.patches);
        let sums = self.take(size.tokens() * size.columns);
        let rows = |wanted: bool, rows| wanted.then(|| self.take(rows * size.columns));
        TokenParts {
            patches,
            class: rows(size.class, 1),
            registers: rows(size.registers > 0, size.registers),
            positions: if size.registers == 0 {
                size.positions.then_some(sums)
            } else {
                rows(size.positions, size.positions())
            },
        }
    }
    fn first_rows(&self, x: &Buffer, _: usize, tokens: usize) -> Buffer {
        self.take(x.len() / tokens)
    }
    fn first_rows_backward(&self, dy: &Buffer, _: usize, tokens: usize) -> Buffer {
        self.take(dy.len() * tokens)
    }
    fn patch_mean(&self, rows: PatchRows, x: &Buffer, class: bool) -> Buffer {
        self.take(x.len() / rows.tokens * (1 + usize::from(class)))
    }
    fn patch_mean_backward(&self, rows: PatchRows, dy: &Buffer, class: bool) -> Buffer {
        self.take(dy.len() / (1 + usize::from(class)) * rows.tokens)
    }
    fn token_moments(&self, rows: PatchRows, x: &Buffer, _: f64) -> Buffer {
        self.take(x.len() / rows.tokens * 2)
    }
    fn token_moments_backward(&self, _: PatchRows, _: &Buffer, x: &Buffer, _: &Buffer) -> Buffer {
        self.like(x)
    }

    fn cross_entropy(&self, logits: &Buffer, _: usize, _: &[u32]) -> (Buffer, Buffer) {
        let softmax = self.like(logits);
        (self.take(1), softmax)
    }
    fn cross_entropy_backward(&self, _: &Buffer, softmax: &Buffer, _: usize, _: &[u32]) -> Buffer {
        self.like(softmax)
    }

    fn warp(&self, _: ImageSize, images: &Buffer, _: &[Affine]) -> Buffer {
        self.like(images)
    }
    fn warp_backward(&self, _: ImageSize, dy: &Buffer, _: &[Affine]) -> Buffer {
        self.like(dy)
    }
    fn colour(&self, _: ImageSize, images: &Buffer, _: &[Colour]) -> Buffer {
        self.like(images)
    }
    fn colour_backward(&self, _: ImageSize, dy: &Buffer, _: &[Colour]) -> Buffer {
        self.like(dy)
    }
    fn cutout(&self, _: ImageSize, images: &Buffer, _: &[Rectangle]) -> Buffer {
        self.like(images)
    }

    fn adamw(&self, _: AdamW, updates: Vec<Update<Buffer>>) {
        for Update { weight, state: [first, second], .. } in updates {
            [weight, first, second].into_iter().for_each(|buffer| self.own(buffer));
        }
    }
}
