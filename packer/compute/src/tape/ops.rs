//! The operations of the tape: each with its value and its backward, in one place.

use crate::device::{Activation, AttentionSize, Device, Form, PatchSize, Size};

use super::{Dropout, Tape, Tensor, Var};

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
    left: D::Buffer,
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
        let kept = w_node.is_some().then(|| x.value.buffer.clone());
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
                    d.matmul(Form::Tn, Size { m: outputs, n: inputs, k: rows }, 1.0, dy, &x)
                });
            }
            if let (Some(Branch { lora: l, left, low, .. }), Some(dlow)) = (branch, low_gradient) {
                let rank = l.a.value.rows;
                g.add(l.b.node, || {
                    d.matmul(Form::Tn, Size { m: outputs, n: rank, k: rows }, l.scale, dy, &low)
                });
                g.add(l.a.node, || {
                    d.matmul(Form::Tn, Size { m: rank, n: inputs, k: rows }, 1.0, &dlow, &left)
                });
            }
        })
    }

    /// x + y, or x + y with y's columns scaled by `scale` [1, columns].
    pub fn residual(&self, x: &Var<D>, y: &Var<D>, scale: Option<&Var<D>>) -> Var<D> {
        let value =
            self.device.residual(&x.value.buffer, &y.value.buffer, scale.map(|s| &s.value.buffer));
        let columns = x.value.columns;
        let mut operands = vec![x, y];
        operands.extend(scale);
        let (x_node, y_node) = (x.node, y.node);
        let scale = scale.map(|s| (s.node, s.value.buffer.clone()));
        let kept = scale.as_ref().and_then(|(node, _)| node.map(|_| y.value.buffer.clone()));
        self.record(x.value.like(value), &operands, move |d, dy, g| {
            g.add(x_node, || dy.clone());
            match scale {
                Some((node, scale)) => {
                    g.add(y_node, || d.scale_columns(dy, &scale));
                    if let Some(y) = kept {
                        g.add(node, || d.column_dot(dy, &y, columns));
                    }
                }
                None => g.add(y_node, || dy.clone()),
            }
        })
    }

    /// Layer normalisation of each row; gain and bias [1, columns].
    pub fn layer_norm(&self, x: &Var<D>, gain: &Var<D>, bias: &Var<D>, epsilon: f64) -> Var<D> {
        let (y, statistics) = self.device.layer_norm(
            &x.value.buffer,
            &gain.value.buffer,
            &bias.value.buffer,
            epsilon,
        );
        let columns = x.value.columns;
        let (x_node, gain_node, bias_node) = (x.node, gain.node, bias.node);
        let (kept, gains) = (x.value.buffer.clone(), gain.value.buffer.clone());
        self.record(x.value.like(y), &[x, gain, bias], move |d, dy, g| {
            g.add(x_node, || d.layer_norm_backward(dy, &kept, &statistics, &gains));
            g.add(gain_node, || d.column_dot(dy, &d.normalised(&kept, &statistics), columns));
            g.add(bias_node, || d.column_sum(dy, columns));
        })
    }

    /// The non-linearity of the MLP, element by element.
    pub fn activation(&self, kind: Activation, x: &Var<D>) -> Var<D> {
        self.record_activation(kind, x, self.device.activation(kind, &x.value.buffer))
    }

    fn record_activation(&self, kind: Activation, x: &Var<D>, y: D::Buffer) -> Var<D> {
        let (node, kept) = (x.node, x.value.buffer.clone());
        self.record(x.value.like(y), &[x], move |d, dy, g| {
            g.add(node, || d.activation_backward(kind, dy, &kept));
        })
    }

    /// Multi-head self-attention; q, k and v are [batch*tokens, heads*width], and so is the result.
    pub fn attention(&self, q: &Var<D>, k: &Var<D>, v: &Var<D>, size: AttentionSize) -> Var<D> {
        let (y, saved) =
            self.device.attention(size, &q.value.buffer, &k.value.buffer, &v.value.buffer);
        let nodes = [q.node, k.node, v.node];
        let [qb, kb, vb] = [q, k, v].map(|x| x.value.buffer.clone());
        let kept = y.clone();
        self.record(q.value.like(y), &[q, k, v], move |d, dy, g| {
            let gradients = d.attention_backward(size, dy, [&qb, &kb, &vb], &kept, &saved);
            for (node, gradient) in nodes.into_iter().zip(gradients) {
                g.add(node, || gradient);
            }
        })
    }

    /// Each row divided by its Euclidean norm, or by `epsilon` if that is larger; the result has
    /// x's shape.
    pub fn l2_normalise(&self, x: &Var<D>, epsilon: f64) -> Var<D> {
        let (y, divisors) = self.device.l2_normalise(&x.value.buffer, x.value.columns, epsilon);
        let (node, kept) = (x.node, y.clone());
        self.record(x.value.like(y), &[x], move |d, dy, g| {
            g.add(node, || d.l2_normalise_backward(dy, &kept, &divisors, epsilon));
        })
    }

    /// Images [batch, 3*height*width] as rows of patches.
    pub fn patches(&self, images: &Var<D>, size: PatchSize) -> Var<D> {
        let y = self.device.patches(size, &images.value.buffer);
        let node = images.node;
        let value = Tensor { buffer: y, rows: size.rows(), columns: size.columns() };
        self.record(value, &[images], move |d, dy, g| g.add(node, || d.patches_backward(size, dy)))
    }

    /// Per image the CLS token and the patches, plus positions [tokens, columns].
    pub fn tokens(&self, patches: &Var<D>, cls: &Var<D>, positions: &Var<D>) -> Var<D> {
        let y =
            self.device.tokens(&patches.value.buffer, &cls.value.buffer, &positions.value.buffer);
        let (tokens, columns) = (positions.value.rows, positions.value.columns);
        let rows = patches.value.rows / (tokens - 1) * tokens;
        let nodes = [patches.node, cls.node, positions.node];
        self.record(
            Tensor { buffer: y, rows, columns },
            &[patches, cls, positions],
            move |d, dy, g| {
                let gradients = d.tokens_backward(dy, columns, tokens);
                for (node, gradient) in nodes.into_iter().zip(gradients) {
                    g.add(node, || gradient);
                }
            },
        )
    }

    /// The first of each `tokens` rows: the CLS tokens.
    pub fn first_rows(&self, x: &Var<D>, tokens: usize) -> Var<D> {
        let (columns, node) = (x.value.columns, x.node);
        let y = self.device.first_rows(&x.value.buffer, columns, tokens);
        let value = Tensor { buffer: y, rows: x.value.rows / tokens, columns };
        self.record(value, &[x], move |d, dy, g| {
            g.add(node, || d.first_rows_backward(dy, columns, tokens))
        })
    }

    /// Per group of `tokens` rows the mean and the standard deviation, sqrt(variance + epsilon), of
    /// all rows but the first (the CLS token); the result is [groups, 2 * columns].
    pub fn token_moments(&self, x: &Var<D>, tokens: usize, epsilon: f64) -> Var<D> {
        let (columns, node, kept) = (x.value.columns, x.node, x.value.buffer.clone());
        let y = self.device.token_moments(&kept, columns, tokens, epsilon);
        let saved = y.clone();
        let value = Tensor { buffer: y, rows: x.value.rows / tokens, columns: 2 * columns };
        self.record(value, &[x], move |d, dy, g| {
            g.add(node, || d.token_moments_backward(dy, &kept, &saved, columns, tokens));
        })
    }

    /// M x for a constant M [rows, x.rows]: resampling of position tables.
    pub fn resample(&self, m: &Tensor<D>, x: &Var<D>) -> Var<D> {
        assert_eq!(m.columns, x.value.rows);
        let (rows, inner, columns) = (m.rows, m.columns, x.value.columns);
        let y = self.device.matmul(
            Form::Nn,
            Size { m: rows, n: columns, k: inner },
            1.0,
            &m.buffer,
            &x.value.buffer,
        );
        let (node, m) = (x.node, m.buffer.clone());
        self.record(Tensor { buffer: y, rows, columns }, &[x], move |d, dy, g| {
            g.add(node, || d.matmul(Form::Tn, Size { m: inner, n: columns, k: rows }, 1.0, &m, dy));
        })
    }

    /// The mean cross-entropy of logits [rows, classes] against one label a row; also
    /// softmax(logits).
    pub fn cross_entropy(&self, logits: &Var<D>, labels: &[u32]) -> (Var<D>, Tensor<D>) {
        let classes = logits.value.columns;
        let (loss, softmax) = self.device.cross_entropy(&logits.value.buffer, classes, labels);
        let (node, kept, labels) = (logits.node, softmax.clone(), labels.to_vec());
        let loss = self.record(
            Tensor { buffer: loss, rows: 1, columns: 1 },
            &[logits],
            move |d, dy, g| {
                g.add(node, || d.cross_entropy_backward(dy, &kept, classes, &labels));
            },
        );
        (loss, logits.value.like(softmax))
    }
}
