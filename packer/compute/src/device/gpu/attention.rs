//! Multi-head attention, in one of two forms: with the softmax stored for the gradient, out of
//! batched products; or, for long sequences, without it, made again in the backward pass.

use medforge_shaders::{
    ATTENTION, ATTENTION_BACKWARD_KV, ATTENTION_BACKWARD_Q, Element, SOFTMAX, SOFTMAX_BACKWARD,
};

use crate::device::{AttentionSize, Form, Size};

use super::call::Call;
use super::matmul::{self, Matrix, Product};
use super::pool::Chunk;
use super::{Buffer, Gpu};

/// The value, and the softmax [batch, heads, queries, stride] or the logarithms of its sums [batch,
/// heads, tokens].
pub fn forward(gpu: &Gpu, size: AttentionSize, qkv: [&Buffer; 3]) -> (Buffer, Buffer) {
    let [q, k, v] = qkv;
    let y = gpu.engine.allocate(q.len, q.element);
    if recomputed(gpu, size) {
        let log_sums = gpu.engine.allocate(size.batch * size.heads * size.tokens, Element::F32);
        gpu.engine.run(Call {
            kernel: &ATTENTION,
            settings: &[
                ("x", q.element.into()),
                ("width", (size.width as u32).into()),
                ("keys", keys(size).into()),
            ],
            params: &params(size),
            buffers: &[q, k, v, &y, &log_sums],
            groups: groups(size),
            operations: 4 * pairs(size),
        });
        return (y, log_sums);
    }
    let stored = Stored::new(size);
    let scores = gpu.engine.allocate(stored.len(), Element::F32);
    stored.product(
        gpu,
        Form::Nt,
        scale(size),
        stored.queries(q),
        stored.keys(k),
        stored.square(&scores),
    );
    let p = gpu.engine.allocate(stored.len(), q.element);
    gpu.softmax_rows(&scores, &p, [stored.rows(), size.tokens, stored.stride]);
    drop(scores);
    stored.product(gpu, Form::Nn, 1.0, stored.square(&p), stored.keys(v), stored.queries(&y));
    (y, p)
}

/// The gradients to Q, K and V.
pub fn backward(
    gpu: &Gpu,
    size: AttentionSize,
    dy: &Buffer,
    qkv: [&Buffer; 3],
    y: &Buffer,
    saved: &Buffer,
) -> [Buffer; 3] {
    let [q, k, v] = qkv;
    let [dq, dk, dv] = qkv.map(|x| gpu.engine.allocate(x.len, dy.element));
    if recomputed(gpu, size) {
        let deltas = gpu.engine.allocate(saved.len, Element::F32);
        let settings = [
            ("x", q.element.into()),
            ("g", dy.element.into()),
            ("width", (size.width as u32).into()),
            ("keys", keys(size).into()),
        ];
        let call = |kernel, buffers: &[&Chunk], operations| {
            let (params, groups) = (params(size), groups(size));
            gpu.engine.run(Call {
                kernel,
                settings: &settings,
                params: &params,
                buffers,
                groups,
                operations,
            });
        };
        call(&ATTENTION_BACKWARD_Q, &[q, k, v, y, dy, saved, &dq, &deltas], 6 * pairs(size));
        call(&ATTENTION_BACKWARD_KV, &[q, k, v, dy, saved, &deltas, &dk, &dv], 8 * pairs(size));
        return [dq, dk, dv];
    }
    let stored = Stored::new(size);
    stored.product(gpu, Form::Tn, 1.0, stored.square(saved), stored.queries(dy), stored.keys(&dv));
    let dp = gpu.engine.allocate(stored.len(), Element::F32);
    stored.product(gpu, Form::Nt, 1.0, stored.queries(dy), stored.keys(v), stored.square(&dp));
    let ds = gpu.engine.allocate(stored.len(), dy.element);
    gpu.softmax_rows_backward(&dp, saved, &ds, [stored.rows(), size.tokens, stored.stride]);
    drop(dp);
    stored.product(
        gpu,
        Form::Nn,
        scale(size),
        stored.square(&ds),
        stored.keys(k),
        stored.queries(&dq),
    );
    stored.product(
        gpu,
        Form::Tn,
        scale(size),
        stored.square(&ds),
        stored.queries(q),
        stored.keys(&dk),
    );
    [dq, dk, dv]
}

/// Sizes of the stored form. Rows of scores are padded to whole vec4s, with zeros where they are
/// read.
struct Stored {
    size: AttentionSize,
    stride: usize,
}

impl Stored {
    fn new(size: AttentionSize) -> Self {
        Stored { size, stride: size.tokens.next_multiple_of(4) }
    }

    fn rows(&self) -> usize {
        self.size.batch * self.size.heads * self.size.queries
    }

    fn len(&self) -> usize {
        self.rows() * self.stride
    }

    /// One [queries, width] matrix per image and head.
    fn queries<'a>(&self, chunk: &'a Chunk) -> Matrix<'a> {
        self.heads(chunk, self.size.queries)
    }

    /// One [tokens, width] matrix per image and head.
    fn keys<'a>(&self, chunk: &'a Chunk) -> Matrix<'a> {
        self.heads(chunk, self.size.tokens)
    }

    fn heads<'a>(&self, chunk: &'a Chunk, rows: usize) -> Matrix<'a> {
        let columns = self.size.heads * self.size.width;
        Matrix { chunk, stride: columns, batch: [rows * columns, self.size.width] }
    }

    /// One [queries, tokens] matrix per image and head.
    fn square<'a>(&self, chunk: &'a Chunk) -> Matrix<'a> {
        let square = self.size.queries * self.stride;
        Matrix { chunk, stride: self.stride, batch: [self.size.heads * square, square] }
    }

    /// A product for each image and head: of heads into a square (Nt), or of a square and heads
    /// (Nn, Tn).
    fn product(&self, gpu: &Gpu, form: Form, alpha: f64, a: Matrix, b: Matrix, c: Matrix) {
        let AttentionSize { batch, queries, tokens, heads, width } = self.size;
        let size = match form {
            Form::Nt => Size { m: queries, n: tokens, k: width },
            Form::Nn => Size { m: queries, n: width, k: tokens },
            Form::Tn => Size { m: tokens, n: width, k: queries },
        };
        let plain = Product::new(form, size, alpha, a.chunk, b.chunk, c);
        matmul::run(&gpu.engine, &Product { a, b, batch: [batch, heads], ..plain });
    }
}

impl Gpu {
    /// y = softmax(x) over [rows, columns] with rows `stride` apart.
    pub(super) fn softmax_rows(&self, x: &Chunk, y: &Chunk, [rows, columns, stride]: [usize; 3]) {
        self.engine.run(Call {
            kernel: &SOFTMAX,
            settings: &[
                ("x", x.element.into()),
                ("y", y.element.into()),
                ("vec", stride.is_multiple_of(4).into()),
                ("lanes", self.engine.tuning.lanes.into()),
            ],
            params: &[rows as u32, columns as u32, stride as u32],
            buffers: &[x, y],
            groups: self.per_row(rows),
            operations: (5 * rows * columns) as u64,
        });
    }

    /// The gradient dx of y = softmax(x).
    pub(super) fn softmax_rows_backward(
        &self,
        dy: &Chunk,
        y: &Chunk,
        dx: &Chunk,
        [rows, columns, stride]: [usize; 3],
    ) {
        self.engine.run(Call {
            kernel: &SOFTMAX_BACKWARD,
            settings: &[
                ("dy", dy.element.into()),
                ("y", y.element.into()),
                ("dx", dx.element.into()),
                ("vec", stride.is_multiple_of(4).into()),
                ("lanes", self.engine.tuning.lanes.into()),
            ],
            params: &[rows as u32, columns as u32, stride as u32],
            buffers: &[dy, y, dx],
            groups: self.per_row(rows),
            operations: (4 * rows * columns) as u64,
        });
    }
}

/// Whether the scores are made again in the backward pass. The kernels for that hold a head in
/// registers, and know self-attention alone. Fewer queries have few scores.
fn recomputed(gpu: &Gpu, size: AttentionSize) -> bool {
    size.queries == size.tokens
        && size.tokens > gpu.engine.tuning.stored_tokens
        && size.width.is_multiple_of(4)
        && size.width <= 128
}

fn scale(size: AttentionSize) -> f64 {
    1.0 / (size.width as f64).sqrt()
}

/// Keys per tile: two tiles of 8 KiB at most.
fn keys(size: AttentionSize) -> u32 {
    if size.width > 64 { 16 } else { 32 }
}

fn params(size: AttentionSize) -> [u32; 3] {
    [size.tokens as u32, size.heads as u32, (scale(size) as f32).to_bits()]
}

fn groups(size: AttentionSize) -> [u32; 3] {
    [size.tokens.div_ceil(64) as u32, size.heads as u32, size.batch as u32]
}

/// Pairs of query and key, times the width of a head.
fn pairs(size: AttentionSize) -> u64 {
    (size.batch * size.heads * size.tokens * size.tokens * size.width) as u64
}
