//! A linear layer whose weight is decomposed into direction and length (DoRA, Liu et al. 2024,
//! arXiv 2402.09353). Each row of W + scale * B A is brought to a trained length, its magnitude.

use crate::device::{Device, Form, Size};

use super::linear::LowRank;
use super::{Gradients, Kept, Node, Tape, Tensor, Var};

/// A row of norm zero keeps its direction, none, whatever its magnitude.
const EPSILON: f64 = 1e-12;

/// What the backward of a decomposed layer needs.
struct Decomposed<D: Device> {
    rows: usize,
    inputs: usize,
    outputs: usize,
    rank: usize,
    w: D::Buffer,
    lora: LowRank<D>,
    /// The mask of the dropout, and what it left of x.
    mask: Option<D::Buffer>,
    left: Kept<D>,
    /// left A^T, and left W^T + scale * low B^T.
    low: D::Buffer,
    product: D::Buffer,
    /// 1 / norm of each row of W + scale * B A.
    inverse: D::Buffer,
    /// magnitude / norm, which each column of the product is multiplied with.
    magnitude_scale: D::Buffer,
}

/// Where the gradients of a decomposed layer go; those to the factors are the branch's own.
struct Nodes {
    x: Option<Node>,
    bias: Option<Node>,
    magnitude: Option<Node>,
}

impl<D: Device + 'static> Tape<D> {
    /// m * (x W^T + scale * x A^T B^T) + bias with the magnitude scale m = magnitude / norms. The
    /// norms are those of the rows of W + scale * B A; they are constants to the gradient (section
    /// 4.3). x [rows, in], W [out, in], frozen, bias and magnitude [1, out]; the result is [rows,
    /// out].
    ///
    /// With dropout both products see what is left of x, and what was dropped goes through W alone,
    /// as in PEFT. With x' for what is left: (x - x') W^T + m * (x' W^T + scale * x' A^T B^T) +
    /// bias.
    pub(super) fn decomposed(
        &self,
        x: &Var<D>,
        w: &Var<D>,
        bias: Option<&Var<D>>,
        lora: &LowRank<D>,
        magnitude: &Var<D>,
    ) -> Var<D> {
        let d = &self.device;
        let (layer, left) = Decomposed::new(d, x, w, lora, magnitude);
        let Decomposed { rows, inputs, outputs, .. } = layer;
        let mut y = d.scale_columns(&layer.product, &layer.magnitude_scale);
        if layer.mask.is_some() {
            let mut lost = x.value.buffer.clone();
            d.add_scaled(&mut lost, -1.0, &left);
            let size = Size { m: rows, n: outputs, k: inputs };
            d.matmul_add(&mut y, Form::Nt, size, 1.0, &lost, &w.value.buffer);
        }
        if let Some(bias) = bias {
            let ones = d.upload(&vec![1.0; rows]);
            let size = Size { m: rows, n: outputs, k: 1 };
            d.matmul_add(&mut y, Form::Nn, size, 1.0, &ones, &bias.value.buffer);
        }
        let mut operands = vec![x, &lora.a, &lora.b, magnitude];
        operands.extend(bias);
        let nodes = Nodes { x: x.node, bias: bias.and_then(|b| b.node), magnitude: magnitude.node };
        let value = Tensor { buffer: y, rows, columns: outputs };
        self.record(value, &operands, move |d, dy, g| layer.backward(d, dy, g, &nodes))
    }
}

impl<D: Device> Decomposed<D> {
    /// Computes the product of a layer and how it is scaled.
    /// Also gives what dropout left of x.
    fn new(
        d: &D,
        x: &Var<D>,
        w: &Var<D>,
        lora: &LowRank<D>,
        magnitude: &Var<D>,
    ) -> (Self, D::Buffer) {
        let (rows, inputs, outputs, rank) =
            (x.value.rows, w.value.columns, w.value.rows, lora.a.value.rows);
        assert_eq!((x.value.columns, magnitude.value.columns), (inputs, outputs));
        assert!(!w.needs_gradient(), "a decomposed weight is frozen");
        let (mask, left) = lora.dropped(d, x);
        let (a, b, w_values) = (&lora.a.value.buffer, &lora.b.value.buffer, &w.value.buffer);
        let low = d.matmul(Form::Nt, Size { m: rows, n: rank, k: inputs }, 1.0, &left, a);
        let size = Size { m: rows, n: outputs, k: inputs };
        let mut product = d.matmul(Form::Nt, size, 1.0, &left, w_values);
        let size = Size { m: rows, n: outputs, k: rank };
        d.matmul_add(&mut product, Form::Nt, size, lora.scale, &low, b);
        let inverse = inverse_norms(d, w, lora);
        let magnitude_scale = d.scale_columns(&magnitude.value.buffer, &inverse);
        let (w, lora) = (w_values.clone(), lora.clone());
        let kept = if mask.is_some() { Kept::Buffer(left.clone()) } else { Kept::of(x) };
        let layer = Decomposed {
            rows,
            inputs,
            outputs,
            rank,
            w,
            lora,
            mask,
            left: kept,
            low,
            product,
            inverse,
            magnitude_scale,
        };
        (layer, left)
    }

    fn backward(self, d: &D, dy: &D::Buffer, g: &mut Gradients<D>, nodes: &Nodes) {
        let Decomposed { rows, inputs, outputs, rank, .. } = self;
        let (lora, scale) = (&self.lora, self.lora.scale);
        let (a, b) = (&lora.a.value.buffer, &lora.b.value.buffer);
        g.add(nodes.bias, || d.column_sum(dy, outputs));
        g.add(nodes.magnitude, || {
            d.scale_columns(&d.column_dot(dy, &self.product, outputs), &self.inverse)
        });
        let dproduct = d.scale_columns(dy, &self.magnitude_scale);
        let size = Size { m: rows, n: rank, k: outputs };
        let dlow = d.matmul(Form::Nn, size, scale, &dproduct, b);
        g.add(nodes.x, || {
            let size = Size { m: rows, n: inputs, k: outputs };
            let mut dleft = d.matmul(Form::Nn, size, 1.0, &dproduct, &self.w);
            let low_size = Size { m: rows, n: inputs, k: rank };
            d.matmul_add(&mut dleft, Form::Nn, low_size, 1.0, &dlow, a);
            let Some(mask) = &self.mask else { return dleft };
            let mut dx = d.matmul(Form::Nn, size, 1.0, dy, &self.w);
            d.add_scaled(&mut dleft, -1.0, &dx);
            d.add_scaled(&mut dx, 1.0, &d.scale_columns(&dleft, mask));
            dx
        });
        let size = Size { m: outputs, n: rank, k: rows };
        g.add(lora.b.node, || d.matmul(Form::Tn, size, scale, &dproduct, &self.low));
        let size = Size { m: rank, n: inputs, k: rows };
        g.add(lora.a.node, || d.matmul(Form::Tn, size, 1.0, &dlow, &self.left.get(d)));
    }
}

/// The reciprocal of the norm of each row of W + scale * B A.
fn inverse_norms<D: Device>(d: &D, w: &Var<D>, lora: &LowRank<D>) -> D::Buffer {
    let (outputs, inputs) = (w.value.rows, w.value.columns);
    let size = Size { m: outputs, n: inputs, k: lora.a.value.rows };
    let (a, b) = (&lora.a.value.buffer, &lora.b.value.buffer);
    let mut changed = d.matmul(Form::Nn, size, lora.scale, b, a);
    d.add_scaled(&mut changed, 1.0, &w.value.buffer);
    let (_, norms) = d.l2_normalise(&changed, inputs, EPSILON);
    // The gradient of normalising, for rows of the one value zero and a gradient of 1: 1 / norm.
    d.l2_normalise_backward(&d.upload(&vec![1.0; outputs]), &d.zeros(outputs), &norms, EPSILON)
}
