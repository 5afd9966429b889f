//! Products: which tile, which access, how many groups, and when a long sum is split.

use medforge_shaders::{Element, MATMUL, Setting};

use crate::device::{Activation, Form, Size};

use super::call::Call;
use super::elementwise::setting;
use super::engine::Engine;
use super::pool::Chunk;
use super::tuning::Tile;
use super::{Buffer, Gpu};

/// A matrix, or one for each (outer, inner) of a batch, in a buffer.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    pub chunk: &'a Chunk,
    /// Values from one row to the next.
    pub stride: usize,
    /// Values from one matrix to the next, by outer and inner index.
    pub batch: [usize; 2],
}

/// C (+)= alpha * op(A) * op(B) + bias, and its activation.
pub struct Product<'a> {
    pub form: Form,
    pub size: Size,
    pub alpha: f64,
    pub a: Matrix<'a>,
    pub b: Matrix<'a>,
    pub c: Matrix<'a>,
    pub bias: Option<&'a Chunk>,
    pub activation: Option<(Activation, &'a Chunk)>,
    pub accumulate: bool,
    /// Outer and inner size of the batch.
    pub batch: [usize; 2],
}

impl<'a> Matrix<'a> {
    pub fn plain(chunk: &'a Chunk, stride: usize) -> Self {
        Matrix { chunk, stride, batch: [0, 0] }
    }

    /// Whether rows can be read as vec4s.
    fn aligned(&self, along: usize) -> bool {
        [along, self.stride, self.batch[0], self.batch[1]].iter().all(|n| n.is_multiple_of(4))
    }
}

impl<'a> Product<'a> {
    /// A plain product of whole buffers.
    pub fn new(
        form: Form,
        size: Size,
        alpha: f64,
        a: &'a Chunk,
        b: &'a Chunk,
        c: Matrix<'a>,
    ) -> Self {
        let (a, b) = (Matrix::plain(a, form.stride_a(size)), Matrix::plain(b, form.stride_b(size)));
        Product {
            form,
            size,
            alpha,
            a,
            b,
            c,
            bias: None,
            activation: None,
            accumulate: false,
            batch: [1, 1],
        }
    }

    /// Whether this is a sum in pieces: a batch over A and B that does not move in them.
    fn is_split(&self) -> bool {
        self.batch[1] > 1 && self.a.batch == [0, 0] && self.b.batch == [0, 0]
    }
}

impl Form {
    /// Values in a row of A as it is stored.
    pub(super) fn stride_a(self, size: Size) -> usize {
        if self == Form::Tn { size.m } else { size.k }
    }

    /// Values in a row of B as it is stored.
    pub(super) fn stride_b(self, size: Size) -> usize {
        if self == Form::Nt { size.k } else { size.n }
    }
}

impl Gpu {
    /// alpha * op(A) * op(B). The gradient of a weight (Tn) is f32; otherwise a narrow operand
    /// makes a narrow result.
    pub(super) fn product(
        &self,
        form: Form,
        size: Size,
        alpha: f64,
        a: &Buffer,
        b: &Buffer,
    ) -> Buffer {
        let Size { m, n, .. } = size;
        let element = if form == Form::Tn { Element::F32 } else { narrower(a, b) };
        if let Some(parts) = self.parts(size).filter(|_| element == Element::F32) {
            // The sum in `parts` pieces side by side, then over the pieces.
            let pieces = self.engine.allocate(parts * m * n, Element::F32);
            let c = Matrix { chunk: &pieces, stride: n, batch: [0, m * n] };
            run(
                &self.engine,
                &Product { batch: [1, parts], ..Product::new(form, size, alpha, a, b, c) },
            );
            return self.reduce_rows(&pieces, None, m * n);
        }
        let c = self.engine.allocate(m * n, element);
        run(&self.engine, &Product::new(form, size, alpha, a, b, Matrix::plain(&c, n)));
        c
    }

    /// x W^T + bias, and its activation.
    pub(super) fn linear_with(
        &self,
        size: Size,
        x: &Buffer,
        w: &Buffer,
        bias: &Buffer,
        kind: Option<Activation>,
    ) -> (Buffer, Option<Buffer>) {
        let c = self.engine.allocate(size.m * size.n, narrower(x, w));
        let y = kind.map(|_| self.engine.allocate(c.len, c.element));
        run(
            &self.engine,
            &Product {
                bias: Some(bias),
                activation: kind.zip(y.as_deref()),
                ..Product::new(Form::Nt, size, 1.0, x, w, Matrix::plain(&c, size.n))
            },
        );
        (c, y)
    }

    /// Into how many pieces a sum is split so that the adapter is full.
    fn parts(&self, size: Size) -> Option<usize> {
        let tiles = size.m.div_ceil(64) * size.n.div_ceil(64);
        let parts = (self.engine.tuning.full / tiles).min(size.k / 256);
        (parts > 1).then_some(parts)
    }
}

/// Records a product.
pub fn run(engine: &Engine, product: &Product) {
    let Product { size: Size { m, n, k }, a, b, c, bias, activation, .. } = *product;
    let [outer, inner] = product.batch;
    let tile = engine.tuning.tile;
    let rows = tile_rows(tile, m, k);
    let (across, down) = match tile {
        Tile::Shared => (64, 64),
        Tile::Subgroup => (32, rows),
        Tile::Registers => (32, 8 * rows),
    };
    let mut buffers = vec![a.chunk, b.chunk];
    buffers.extend(bias);
    buffers.push(c.chunk);
    buffers.extend(activation.map(|(_, y)| y));
    let pieces = if product.is_split() { 1 } else { outer * inner };
    engine.run(Call {
        kernel: &MATMUL,
        settings: &settings(product, tile, rows),
        params: &params(product),
        buffers: &buffers,
        groups: [word(n.div_ceil(across)), word(m.div_ceil(down)), word(outer * inner)],
        operations: 2 * (m * n * k * pieces) as u64,
    });
}

/// Rows of the result that an invocation, or with subgroups a group, computes.
fn tile_rows(tile: Tile, m: usize, k: usize) -> usize {
    match tile {
        Tile::Shared | Tile::Registers => 8,
        Tile::Subgroup if m <= 8 => 8,
        Tile::Subgroup if m <= 16 || k < 256 => 16,
        Tile::Subgroup => 32,
    }
}

/// The form of the kernel that a product takes.
fn settings(product: &Product, tile: Tile, rows: usize) -> Vec<(&'static str, Setting)> {
    let Product { form, size: Size { m, n, k }, a, b, c, bias, activation, .. } = *product;
    let mut settings = vec![
        ("form", (form as u32).into()),
        ("tile", (tile as u32).into()),
        ("rows", (rows as u32).into()),
        ("a", a.chunk.element.into()),
        ("b", b.chunk.element.into()),
        ("c", c.chunk.element.into()),
        ("vec_a", a.aligned(if form == Form::Tn { m } else { k }).into()),
        ("vec_b", b.aligned(if form == Form::Nt { k } else { n }).into()),
        ("vec_c", c.aligned(n).into()),
        ("accumulate", product.accumulate.into()),
        ("biased", bias.is_some().into()),
        ("activation", activation.map_or(0, |(kind, _)| setting(kind)).into()),
    ];
    settings.extend(bias.map(|bias| ("bias", bias.element.into())));
    settings
}

/// The kernel's parameters, as `matmul.wgsl` lists them.
fn params(product: &Product) -> [u32; 16] {
    let Product { size: Size { m, n, k }, a, b, c, .. } = *product;
    let inner = product.batch[1];
    let split = product.is_split();
    let chunk = if split { k.div_ceil(inner).next_multiple_of(16) } else { k };
    [
        word(m),
        word(n),
        word(k),
        word(chunk),
        word(a.stride),
        word(b.stride),
        word(c.stride),
        word(inner),
        word(a.batch[0]),
        word(a.batch[1]),
        word(b.batch[0]),
        word(b.batch[1]),
        word(c.batch[0]),
        word(c.batch[1]),
        (product.alpha as f32).to_bits(),
        u32::from(split),
    ]
}

fn word(value: usize) -> u32 {
    u32::try_from(value).expect("a buffer has fewer than 2^32 values")
}

/// The narrower of two types.
fn narrower(a: &Chunk, b: &Chunk) -> Element {
    if a.element == Element::F16 { a.element } else { b.element }
}
