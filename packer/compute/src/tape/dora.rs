//! A linear layer whose weight is decomposed into direction and length (DoRA, Liu et al. 2024,
//! arXiv 2402.09353): the rows of W + scale * B A, each brought to a trained length, its magnitude.

use crate::device::{Device, Form, Size};

use super::{LowRank, Tape, Tensor, Var};

/// A row of norm zero keeps its direction, none, whatever its magnitude.
const EPSILON: f64 = 1e-12;

impl<D: Device + 'static> Tape<D> {
    /// d * (x W^T + scale * x A^T B^T) + bias with d = magnitude / norms, the norms being those of
    /// the rows of W + scale * B A; they are constants to the gradient (section 4.3). With dropout
    /// both products see what is left of x, and what was dropped goes through W alone, as in PEFT:
    /// with x' for what is left, (x - x') W^T + d * (x' W^T + scale * x' A^T B^T) + bias. x [rows,
    /// in], W [out, in], frozen, bias and magnitude [1, out]; the result is [rows, out].
    pub(super) fn decomposed(
        &self,
        x: &Var<D>,
        w: &Var<D>,
        bias: Option<&Var<D>>,
        l: &LowRank<D>,
        magnitude: &Var<D>,
    ) -> Var<D> {
        let d = &self.device;
        let (rows, inputs, outputs, rank) =
            (x.value.rows, w.value.columns, w.value.rows, l.a.value.rows);
        assert_eq!((x.value.columns, magnitude.value.columns), (inputs, outputs));
        assert!(!w.needs_gradient(), "a decomposed weight is frozen");
        let whole = Size { m: rows, n: outputs, k: inputs };
        let (mask, left) = l.dropped(d, x);
        let low =
            d.matmul(Form::Nt, Size { m: rows, n: rank, k: inputs }, 1.0, &left, &l.a.value.buffer);
        let mut product = d.matmul(Form::Nt, whole, 1.0, &left, &w.value.buffer);
        d.matmul_add(
            &mut product,
            Form::Nt,
            Size { m: rows, n: outputs, k: rank },
            l.scale,
            &low,
            &l.b.value.buffer,
        );
        let inverse = inverse_norms(d, w, l);
        let gain = d.scale_columns(&magnitude.value.buffer, &inverse);
        let mut y = d.scale_columns(&product, &gain);
        if mask.is_some() {
            let mut lost = x.value.buffer.clone();
            d.add_scaled(&mut lost, -1.0, &left);
            d.matmul_add(&mut y, Form::Nt, whole, 1.0, &lost, &w.value.buffer);
        }
        if let Some(bias) = bias {
            let ones = d.upload(&vec![1.0; rows]);
            d.matmul_add(
                &mut y,
                Form::Nn,
                Size { m: rows, n: outputs, k: 1 },
                1.0,
                &ones,
                &bias.value.buffer,
            );
        }
        let mut operands = vec![x, &l.a, &l.b, magnitude];
        operands.extend(bias);
        let (x_node, magnitude_node, bias_node) =
            (x.node, magnitude.node, bias.and_then(|b| b.node));
        let (w, l) = (w.value.buffer.clone(), l.clone());
        self.record(Tensor { buffer: y, rows, columns: outputs }, &operands, move |d, dy, g| {
            g.add(bias_node, || d.column_sum(dy, outputs));
            g.add(magnitude_node, || {
                d.scale_columns(&d.column_dot(dy, &product, outputs), &inverse)
            });
            let dproduct = d.scale_columns(dy, &gain);
            let (a, b) = (&l.a.value.buffer, &l.b.value.buffer);
            let dlow =
                d.matmul(Form::Nn, Size { m: rows, n: rank, k: outputs }, l.scale, &dproduct, b);
            g.add(x_node, || {
                let size = Size { m: rows, n: inputs, k: outputs };
                let mut dleft = d.matmul(Form::Nn, size, 1.0, &dproduct, &w);
                d.matmul_add(
                    &mut dleft,
                    Form::Nn,
                    Size { m: rows, n: inputs, k: rank },
                    1.0,
                    &dlow,
                    a,
                );
                let Some(mask) = &mask else { return dleft };
                let mut dx = d.matmul(Form::Nn, size, 1.0, dy, &w);
                d.add_scaled(&mut dleft, -1.0, &dx);
                d.add_scaled(&mut dx, 1.0, &d.scale_columns(&dleft, mask));
                dx
            });
            let size = Size { m: outputs, n: rank, k: rows };
            g.add(l.b.node, || d.matmul(Form::Tn, size, l.scale, &dproduct, &low));
            g.add(l.a.node, || {
                d.matmul(Form::Tn, Size { m: rank, n: inputs, k: rows }, 1.0, &dlow, &left)
            });
        })
    }
}

/// The reciprocal of the norm of each row of W + scale * B A.
fn inverse_norms<D: Device>(d: &D, w: &Var<D>, l: &LowRank<D>) -> D::Buffer {
    let (outputs, inputs) = (w.value.rows, w.value.columns);
    let size = Size { m: outputs, n: inputs, k: l.a.value.rows };
    let mut changed = d.matmul(Form::Nn, size, l.scale, &l.b.value.buffer, &l.a.value.buffer);
    d.add_scaled(&mut changed, 1.0, &w.value.buffer);
    let (_, norms) = d.l2_normalise(&changed, inputs, EPSILON);
    // What normalising gives back of 1 for rows of one value, were that zero: 1 / norm.
    d.l2_normalise_backward(&d.upload(&vec![1.0; outputs]), &d.zeros(outputs), &norms, EPSILON)
}
