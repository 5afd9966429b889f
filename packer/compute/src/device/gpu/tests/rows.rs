//! Element by element, along rows and over rows.

use crate::device::{AttentionSize, Device};

use super::*;

#[test]
fn elementwise() {
    for (rows, columns) in [(1, 1), (3, 5), (1, 300), (300, 1), (7, 64), (130, 12)] {
        let (x, y, scale) =
            (numbers(rows * columns, 1), numbers(rows * columns, 2), numbers(columns, 3));
        case!(format!("element-wise {rows} x {columns}"), 2e-6, |d| {
            let (x, y, scale) = (d.upload_frozen(&x), d.upload_frozen(&y), d.upload_frozen(&scale));
            let mut sum = x.clone();
            d.add_scaled(&mut sum, 0.75, &y);
            let mut out = vec![sum, d.residual(&x, &y, None), d.residual(&x, &y, Some(&scale))];
            out.extend([
                d.scale_columns(&x, &scale),
                d.column_sum(&x, columns),
                d.column_dot(&x, &y, columns),
            ]);
            for kind in KINDS {
                out.extend([d.activation(kind, &x), d.activation_backward(kind, &y, &x)]);
                out.push(d.gated(kind, &x, &y));
                let dy = d.scale_columns(&y, &scale);
                out.extend(d.gated_backward(kind, &dy, &x, &y));
            }
            out.push(d.zeros(rows));
            out
        });
    }
    let wide: Vec<f32> = (-60..60).map(|i| i as f32 / 4.0).collect();
    case!("activations far out", 2e-6, |d| {
        let x = d.upload_frozen(&wide);
        KINDS.map(|kind| [d.activation(kind, &x), d.gated(kind, &x, &x)]).into_iter().flatten()
    });
}

/// More groups than one dimension holds, and more rows than blocks can be.
#[test]
fn long_lists() {
    let len = 64 * 4 * 65_535 + 5;
    let x: Vec<f32> = (0..len).map(|i| (i % 7) as f32).collect();
    case!("a list of 16.8 million", 2e-6, |d| {
        let x = d.upload_frozen(&x);
        let mut sum = d.zeros(len);
        d.add_scaled(&mut sum, 2.0, &x);
        let tail = d.first_rows(&sum, 5, len / 5);
        [d.column_sum(&x, 1), d.column_sum(&sum, 5), d.column_sum(&x, len), tail]
    });
}

#[test]
fn layer_norm() {
    for (rows, columns) in [(1, 2), (3, 7), (70, 16), (2, 33), (65, 384)] {
        let (x, dy) = (numbers(rows * columns, 1), numbers(rows * columns, 2));
        let (gain, bias) = (numbers(columns, 3), numbers(columns, 4));
        case!(format!("layer norm {rows} x {columns}"), 5e-6, |d| {
            let [x, dy, gain, bias] = [&x, &dy, &gain, &bias].map(|v| d.upload_frozen(v));
            let (y, statistics) = d.layer_norm(&x, &gain, &bias, 1e-2);
            let (dx, n) =
                (d.layer_norm_backward(&dy, &x, &statistics, &gain), d.normalised(&x, &statistics));
            [y, statistics, dx, n]
        });
    }
}

#[test]
fn attention() {
    for (batch, tokens, heads, width) in [
        (1, 1, 1, 1),
        (2, 3, 2, 2),
        (1, 17, 1, 3),
        (3, 2, 3, 4),
        (2, 65, 2, 8),
        (1, 70, 3, 64),
        (1, 33, 1, 80),
    ] {
        for queries in [1, tokens, tokens + 3] {
            let size = AttentionSize { batch, queries, tokens, heads, width };
            let rows = |rows: usize, seed| numbers(batch * rows * heads * width, seed);
            let (q, k, v) = (rows(queries, 1), rows(tokens, 2), rows(tokens, 3));
            let dy = rows(queries, 4);
            case!(format!("attention {size:?}"), 2e-5, |d| {
                let [q, k, v, dy] = [&q, &k, &v, &dy].map(|x| d.upload_frozen(x));
                let (y, saved) = d.attention(size, &q, &k, &v);
                let [dq, dk, dv] = d.attention_backward(size, &dy, [&q, &k, &v], &saved);
                [y, dq, dk, dv]
            });
        }
    }
}

#[test]
fn cross_entropy() {
    for (rows, classes) in [(1, 2), (70, 3), (4, 1), (33, 17)] {
        let logits: Vec<f32> = numbers(rows * classes, 1).iter().map(|x| x * 8.0).collect();
        let labels: Vec<u32> = (0..rows).map(|i| ((i * 7) % classes) as u32).collect();
        case!(format!("cross-entropy {rows} x {classes}"), 5e-6, |d| {
            let logits = d.upload_frozen(&logits);
            let (loss, p) = d.cross_entropy(&logits, classes, &labels);
            let dx = d.cross_entropy_backward(&d.upload(&[0.5]), &p, classes, &labels);
            [loss, p, dx]
        });
    }
}

#[test]
fn euclidean_norm() {
    for (rows, columns) in [(1, 1), (3, 5), (70, 12), (2, 130)] {
        let (mut x, dy) = (numbers(rows * columns, 1), numbers(rows * columns, 2));
        if rows > 2 {
            x[columns..2 * columns].fill(0.0);
        }
        case!(format!("norm {rows} x {columns}"), 5e-6, |d| {
            let (x, dy) = (d.upload_frozen(&x), d.upload_frozen(&dy));
            let (n, divisors) = d.l2_normalise(&x, columns, 0.5);
            let dn = d.l2_normalise_backward(&dy, &n, &divisors, 0.5);
            [n, divisors, dn]
        });
    }
}
