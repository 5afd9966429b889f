//! The operations of the tape but its linear layers: each with its value and its backward.

use std::ops::Range;

use crate::device::{
    Activation, AttentionSize, Device, Form, PatchRows, PatchSize, RotarySize, Size, TokenParts,
    TokenSize,
};

use super::{Kept, Tape, Tensor, Var};

impl<D: Device + 'static> Tape<D> {
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
        let again = Kept::Norm {
            x: kept.clone(),
            gain: gains.clone(),
            bias: bias.value.buffer.clone(),
            epsilon,
        };
        let y = self.record(x.value.like(y), &[x, gain, bias], move |d, dy, g| {
            g.add(x_node, || d.layer_norm_backward(dy, &kept, &statistics, &gains));
            g.add(gain_node, || d.column_dot(dy, &d.normalised(&kept, &statistics), columns));
            g.add(bias_node, || d.column_sum(dy, columns));
        });
        y.computed_again(again)
    }

    /// The non-linearity of the MLP, element by element.
    pub fn activation(&self, kind: Activation, x: &Var<D>) -> Var<D> {
        self.record_activation(kind, x, self.device.activation(kind, &x.value.buffer))
    }

    /// Records `y`, the activation of x, with its backward.
    pub(super) fn record_activation(&self, kind: Activation, x: &Var<D>, y: D::Buffer) -> Var<D> {
        let (node, kept) = (x.node, x.value.buffer.clone());
        let again = Kept::Activation { kind, x: kept.clone() };
        let y = self.record(x.value.like(y), &[x], move |d, dy, g| {
            g.add(node, || d.activation_backward(kind, dy, &kept));
        });
        y.computed_again(again)
    }

    /// f(g) * u, element by element, f being the activation (SwiGLU and its like, Shazeer 2020).
    pub fn gated(&self, kind: Activation, g: &Var<D>, u: &Var<D>) -> Var<D> {
        assert_eq!((g.value.rows, g.value.columns), (u.value.rows, u.value.columns));
        let y = self.device.gated(kind, &g.value.buffer, &u.value.buffer);
        let nodes = [g.node, u.node];
        let [gate, value] = [g, u].map(|x| x.value.buffer.clone());
        let again = Kept::Gated { kind, g: gate.clone(), u: value.clone() };
        let y = self.record(g.value.like(y), &[g, u], move |d, dy, g| {
            let gradients = d.gated_backward(kind, dy, &gate, &value);
            for (node, gradient) in nodes.into_iter().zip(gradients) {
                g.add(node, || gradient);
            }
        });
        y.computed_again(again)
    }

    /// Queries or keys [images*tokens, heads*width] with those of patches rotated by their places;
    /// `tables` are the cosine and the sine [patches, width/2] of each pair's angle. The result has
    /// x's shape.
    pub fn rotate(&self, x: &Var<D>, size: RotarySize, tables: &[Tensor<D>; 2]) -> Var<D> {
        assert_eq!(x.value.columns, size.heads * size.width);
        assert!(tables.iter().all(|t| t.rows == size.tokens - size.leading));
        assert!(size.width.is_multiple_of(2) && tables.iter().all(|t| 2 * t.columns == size.width));
        let y = self.device.rotate(size, &x.value.buffer, tables.each_ref().map(|t| &t.buffer));
        let (node, tables) = (x.node, tables.clone());
        self.record(x.value.like(y), &[x], move |d, dy, g| {
            let tables = tables.each_ref().map(|t| &t.buffer);
            g.add(node, || d.rotate_backward(size, dy, tables));
        })
    }

    /// Multi-head attention; q is [batch*queries, heads*width], and so is the result; k and v are
    /// [batch*tokens, heads*width].
    pub fn attention(&self, q: &Var<D>, k: &Var<D>, v: &Var<D>, size: AttentionSize) -> Var<D> {
        let (y, saved) =
            self.device.attention(size, &q.value.buffer, &k.value.buffer, &v.value.buffer);
        let nodes = [q.node, k.node, v.node];
        let [qb, kb, vb] = [q, k, v].map(|x| x.value.buffer.clone());
        self.record(q.value.like(y), &[q, k, v], move |d, dy, g| {
            let gradients = d.attention_backward(size, dy, [&qb, &kb, &vb], &saved);
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

    /// The tokens of images with so many `patches` each [images*tokens, columns]: class token,
    /// registers and patches, positions being added to the first and the last.
    pub fn tokens(&self, parts: TokenParts<&Var<D>>, patches: usize) -> Var<D> {
        let columns = parts.patches.value.columns;
        let size = TokenSize {
            class: parts.class.is_some(),
            registers: parts.registers.map_or(0, |x| x.value.rows),
            patches,
            positions: parts.positions.is_some(),
            columns,
        };
        assert!(parts.list().all(|x| x.value.columns == columns));
        assert!(parts.positions.is_none_or(|x| x.value.rows == size.positions()));
        let buffer = self.device.tokens(size, parts.map(|x| &x.value.buffer));
        let rows = parts.patches.value.rows / patches * size.tokens();
        let (nodes, operands) = (parts.map(|x| x.node), parts.list().collect::<Vec<_>>());
        self.record(Tensor { buffer, rows, columns }, &operands, move |d, dy, g| {
            for (node, gradient) in nodes.list().zip(d.tokens_backward(size, dy).list()) {
                g.add(node, || gradient);
            }
        })
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

    /// The mean of each image's patches [images, columns], those being the rows `patches`, the last
    /// of its tokens; with `class` the image's first row in front of it: [images, 2 * columns].
    pub fn patch_mean(&self, x: &Var<D>, patches: Range<usize>, class: bool) -> Var<D> {
        let rows = patch_rows(x, patches);
        let buffer = self.device.patch_mean(rows, &x.value.buffer, class);
        let columns = rows.columns * (1 + usize::from(class));
        let node = x.node;
        let value = Tensor { buffer, rows: x.value.rows / rows.tokens, columns };
        self.record(value, &[x], move |d, dy, g| {
            g.add(node, || d.patch_mean_backward(rows, dy, class));
        })
    }

    /// The mean and the standard deviation, sqrt(variance + epsilon), of each image's patches,
    /// those being the rows `patches`, the last of its tokens. The result is [images, 2 *
    /// columns].
    pub fn token_moments(&self, x: &Var<D>, patches: Range<usize>, epsilon: f64) -> Var<D> {
        let rows = patch_rows(x, patches);
        let (node, kept) = (x.node, x.value.buffer.clone());
        let y = self.device.token_moments(rows, &kept, epsilon);
        let saved = y.clone();
        let columns = 2 * rows.columns;
        let value = Tensor { buffer: y, rows: x.value.rows / rows.tokens, columns };
        self.record(value, &[x], move |d, dy, g| {
            g.add(node, || d.token_moments_backward(rows, dy, &kept, &saved));
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

/// Where the patches of images are among their tokens x.
fn patch_rows<D: Device>(x: &Var<D>, patches: Range<usize>) -> PatchRows {
    PatchRows { columns: x.value.columns, tokens: patches.end, leading: patches.start }
}
