//! Linear layers with their low-rank branch: value and backward.

use crate::device::{Activation, Device, Form, Size};

use super::dropout::Dropout;
use super::{Kept, Tape, Tensor, Var};

/// The low-rank branch of a linear layer (Hu et al. 2021): scale * x A^T B^T with A [rank, in] and
/// B [out, rank].
#[derive(Clone)]
pub struct LowRank<D: Device> {
    pub a: Var<D>,
    pub b: Var<D>,
    pub scale: f64,
    /// [1, out]: the lengths that the rows of W + scale * B A are brought to (DoRA).
    pub magnitude: Option<Var<D>>,
    /// On what goes into the branch.
    pub dropout: Option<Dropout>,
}

/// A low-rank branch that was computed, and what its backward needs.
struct Branch<D: Device> {
    lora: LowRank<D>,
    mask: Option<D::Buffer>,
    /// What dropout left of x, and its product with A.
    left: Kept<D>,
    low: D::Buffer,
}

impl<D: Device> LowRank<D> {
    /// A branch without magnitude and dropout.
    pub fn plain(a: Var<D>, b: Var<D>, scale: f64) -> Self {
        LowRank { a, b, scale, magnitude: None, dropout: None }
    }

    /// The mask of the branch's dropout on the device, and what it leaves of x.
    pub(super) fn dropped(&self, d: &D, x: &Var<D>) -> (Option<D::Buffer>, D::Buffer) {
        let x = &x.value;
        match &self.dropout {
            None => (None, x.buffer.clone()),
            Some(dropout) => {
                // All values as one row, each with a factor of its own.
                let mask = d.upload(&dropout.mask(x.rows, x.columns));
                let left = d.scale_columns(&x.buffer, &mask);
                (Some(mask), left)
            }
        }
    }
}

impl<D: Device + 'static> Tape<D> {
    /// x W^T + bias + the low-rank branch; with a magnitude each output is scaled before the bias.
    /// x [rows, in], W [out, in], bias [1, out]; the result is [rows, out].
    pub fn linear(
        &self,
        x: &Var<D>,
        w: &Var<D>,
        bias: Option<&Var<D>>,
        lora: Option<&LowRank<D>>,
    ) -> Var<D> {
        if let Some(lora @ LowRank { magnitude: Some(magnitude), .. }) = lora {
            return self.decomposed(x, w, bias, lora, magnitude);
        }
        let d = &self.device;
        let (rows, inputs, outputs) = (x.value.rows, w.value.columns, w.value.rows);
        assert_eq!(x.value.columns, inputs);
        let size = Size { m: rows, n: outputs, k: inputs };
        let mut y = match bias {
            Some(bias) => d.linear(size, &x.value.buffer, &w.value.buffer, &bias.value.buffer),
            None => d.matmul(Form::Nt, size, 1.0, &x.value.buffer, &w.value.buffer),
        };
        let branch = lora.map(|l| {
            let rank = l.a.value.rows;
            assert_eq!(
                (l.a.value.columns, l.b.value.rows, l.b.value.columns),
                (inputs, outputs, rank)
            );
            let (mask, left) = l.dropped(d, x);
            let low = d.matmul(
                Form::Nt,
                Size { m: rows, n: rank, k: inputs },
                1.0,
                &left,
                &l.a.value.buffer,
            );
            d.matmul_add(
                &mut y,
                Form::Nt,
                Size { m: rows, n: outputs, k: rank },
                l.scale,
                &low,
                &l.b.value.buffer,
            );
            let left = if mask.is_some() { Kept::Buffer(left) } else { Kept::of(x) };
            Branch { lora: l.clone(), mask, left, low }
        });
        self.record_linear(y, [x, w], bias, branch)
    }

    /// An activation of [`Tape::linear`], in one operation of the device where no low-rank branch
    /// comes between.
    pub fn linear_activation(
        &self,
        kind: Activation,
        x: &Var<D>,
        w: &Var<D>,
        bias: Option<&Var<D>>,
        lora: Option<&LowRank<D>>,
    ) -> Var<D> {
        let (Some(bias), None) = (bias, lora) else {
            return self.activation(kind, &self.linear(x, w, bias, lora));
        };
        let size = Size { m: x.value.rows, n: w.value.rows, k: w.value.columns };
        let (before, after) = self.device.linear_activation(
            kind,
            size,
            &x.value.buffer,
            &w.value.buffer,
            &bias.value.buffer,
        );
        let before = self.record_linear(before, [x, w], Some(bias), None);
        self.record_activation(kind, &before, after)
    }

    /// Records `y`, the value of a linear layer of x and W, with its backward.
    fn record_linear(
        &self,
        y: D::Buffer,
        [x, w]: [&Var<D>; 2],
        bias: Option<&Var<D>>,
        branch: Option<Branch<D>>,
    ) -> Var<D> {
        let (rows, inputs, outputs) = (x.value.rows, w.value.columns, w.value.rows);
        let mut operands = vec![x, w];
        operands.extend(bias);
        let low_rank = branch.as_ref().map(|b| b.lora.clone());
        operands.extend(low_rank.iter().flat_map(|l| [&l.a, &l.b]));
        let (w_node, bias_node, x_node) = (w.node, bias.and_then(|b| b.node), x.node);
        let w = w.value.buffer.clone();
        // The input is kept only where a gradient needs it.
        let kept = w_node.is_some().then(|| Kept::of(x));
        self.record(Tensor { buffer: y, rows, columns: outputs }, &operands, move |d, dy, g| {
            let low_gradient = branch.as_ref().map(|Branch { lora: l, .. }| {
                let size = Size { m: rows, n: l.a.value.rows, k: outputs };
                d.matmul(Form::Nn, size, l.scale, dy, &l.b.value.buffer)
            });
            g.add(x_node, || {
                let mut dx =
                    d.matmul(Form::Nn, Size { m: rows, n: inputs, k: outputs }, 1.0, dy, &w);
                if let (Some(Branch { lora: l, mask, .. }), Some(dlow)) = (&branch, &low_gradient) {
                    let size = Size { m: rows, n: inputs, k: l.a.value.rows };
                    match mask {
                        None => d.matmul_add(&mut dx, Form::Nn, size, 1.0, dlow, &l.a.value.buffer),
                        Some(mask) => {
                            let dleft = d.matmul(Form::Nn, size, 1.0, dlow, &l.a.value.buffer);
                            d.add_scaled(&mut dx, 1.0, &d.scale_columns(&dleft, mask));
                        }
                    }
                }
                dx
            });
            g.add(bias_node, || d.column_sum(dy, outputs));
            if let Some(x) = kept {
                g.add(w_node, || {
                    let size = Size { m: outputs, n: inputs, k: rows };
                    d.matmul(Form::Tn, size, 1.0, dy, &x.get(d))
                });
            }
            if let (Some(Branch { lora: l, left, low, .. }), Some(dlow)) = (branch, low_gradient) {
                let rank = l.a.value.rows;
                g.add(l.b.node, || {
                    d.matmul(Form::Tn, Size { m: outputs, n: rank, k: rows }, l.scale, dy, &low)
                });
                g.add(l.a.node, || {
                    let size = Size { m: rank, n: inputs, k: rows };
                    d.matmul(Form::Tn, size, 1.0, &dlow, &left.get(d))
                });
            }
        })
    }
}
