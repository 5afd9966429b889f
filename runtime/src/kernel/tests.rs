//! Every kernel against its formula in f64, with every set of instructions that the processor has,
//! on outputs poisoned with NaN.

use super::*;

mod halves;

/// Numbers between -1 and 1 that look random and are always the same.
fn numbers(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(12_345);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn product(x: &[f32], w: &[f32], rows: usize, k: usize, n: usize) -> Vec<f64> {
    let at = |row: usize, column: usize| {
        (0..k).map(|d| f64::from(x[row * k + d]) * f64::from(w[d * n + column])).sum::<f64>()
    };
    (0..rows * n).map(|i| at(i / n, i % n)).collect()
}

/// The largest difference; NaN, and so refused by any comparison, if a value is not finite.
fn difference(ours: &[f32], exact: &[f64]) -> f64 {
    assert_eq!(ours.len(), exact.len());
    ours.iter().zip(exact).fold(0.0, |worst, (&o, &e)| {
        let distance = (f64::from(o) - e).abs();
        if distance.is_finite() { f64::max(worst, distance) } else { f64::NAN }
    })
}

fn normal(x: f64) -> f64 {
    // Phi by integrating its density from 0, Simpson's rule.
    let steps = 2000;
    let h = x / f64::from(steps);
    let density = |t: f64| (-t * t / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let inner: f64 =
        (1..steps).map(|i| density(f64::from(i) * h) * if i % 2 == 1 { 4.0 } else { 2.0 }).sum();
    0.5 + h / 3.0 * (density(0.0) + inner + density(x))
}

#[test]
fn a_linear_layer_is_what_its_formula_says_for_ragged_shapes() {
    let shapes = [
        (1, 1, 1, 1),
        (1, 64, 100, 3),
        (3, 7, 5, 0),
        (6, 9, 16, 2),
        (13, 33, 70, 4),
        (8, 48, 48, 16),
        (29, 20, 131, 5),
    ];
    for (level, (rows, k, n, rank)) in Level::all().into_iter().flat_map(|l| shapes.map(|s| (l, s)))
    {
        let (x, w) = (numbers(1, rows * k), numbers(2, k * n));
        let (low, b) = (numbers(3, rows * rank), numbers(4, rank * n));
        let (bias, scale, before, magnitude_scale) =
            (numbers(5, n), numbers(6, n), numbers(7, rows * n), numbers(8, n));
        let (weight, b_panels) = (Panels::new(level, k, n, &w), Panels::new(level, rank, n, &b));
        let (xw, lb) = (product(&x, &w, rows, k, n), product(&low, &b, rows, rank, n));
        for activation in [
            Activation::None,
            Activation::Gelu,
            Activation::QuickGelu,
            Activation::GeluTanh,
            Activation::Silu,
        ] {
            let act = |v: f64| match activation {
                Activation::None => v,
                Activation::Gelu => v * normal(v),
                Activation::QuickGelu => v / (1.0 + (-1.702 * v).exp()),
                Activation::GeluTanh => {
                    let inner = (2.0 / std::f64::consts::PI).sqrt() * (v + 0.044715 * v.powi(3));
                    0.5 * v * (1.0 + inner.tanh())
                }
                Activation::Silu => v / (1.0 + (-v).exp()),
            };
            let stores = [Store::Replace, Store::Add, Store::Multiply];
            for (store, scaled) in stores.into_iter().flat_map(|s| [(s, false), (s, true)]) {
                let replaces = store == Store::Replace;
                let mut out = if replaces { vec![f32::NAN; rows * n] } else { before.clone() };
                level.run(Linear {
                    magnitude_scale: scaled.then_some(&magnitude_scale),
                    bias: Some(&bias),
                    low: Some(LowRank { values: &low, b: &b_panels }),
                    activation,
                    layer_scale: Some(&scale),
                    store,
                    ..Linear::product(&x, rows, &weight, &mut out)
                });
                let exact = |i: usize| {
                    let column = i % n;
                    let before_bias = if scaled { f64::from(magnitude_scale[column]) } else { 1.0 };
                    let value = act((xw[i] + lb[i]) * before_bias + f64::from(bias[column]))
                        * f64::from(scale[column]);
                    match store {
                        Store::Replace => value,
                        Store::Add => value + f64::from(before[i]),
                        Store::Multiply => value * f64::from(before[i]),
                    }
                };
                let exact: Vec<f64> = (0..rows * n).map(exact).collect();
                let worst = difference(&out, &exact);
                assert!(
                    worst < 2e-5,
                    "{level:?} {rows}x{k}x{n} rank {rank} {activation:?} {store:?}: {worst}"
                );
            }
        }
    }
}

#[test]
fn rows_may_lie_apart_and_what_lies_between_is_left_alone() {
    for level in Level::all() {
        let (x, w) = (numbers(1, 10 * 8), numbers(2, 5 * 6));
        let mut out = vec![7.0; 10 * 9];
        let weight = Panels::new(level, 5, 6, &w);
        level.run(Linear {
            x_stride: 8,
            out_stride: 9,
            ..Linear::product(&x, 10, &weight, &mut out)
        });
        let packed: Vec<f32> = x.chunks(8).flat_map(|row| &row[..5]).copied().collect();
        let ours: Vec<f32> = out.chunks(9).flat_map(|row| &row[..6]).copied().collect();
        assert!(difference(&ours, &product(&packed, &w, 10, 5, 6)) < 1e-5);
        assert!(out.chunks(9).all(|row| row[6..] == [7.0; 3]));
    }
}

#[test]
fn panels_hold_a_matrix_and_its_transpose_alike() {
    for level in Level::all() {
        let w = numbers(1, 7 * 131);
        let transposed: Vec<f32> = (0..131 * 7).map(|i| w[(i % 7) * 131 + i / 7]).collect();
        let mut panels = Panels::zeros(level, 7, 131);
        panels.fill_transposed(&transposed, 7);
        for (first, width) in panels.spans() {
            assert_eq!(
                panels.panel(first, width),
                Panels::new(level, 7, 131, &w).panel(first, width)
            );
        }
        assert_eq!(
            panels.spans().map(|(_, width)| width).sum::<usize>(),
            131_usize.next_multiple_of(level.widths().0)
        );
    }
}

#[test]
fn layer_norm_is_what_its_formula_says_even_far_from_zero() {
    for (level, width) in Level::all().into_iter().flat_map(|l| [1, 5, 16, 48, 100].map(|w| (l, w)))
    {
        let x: Vec<f32> = numbers(1, 3 * width).iter().map(|v| v * 3.0 + 20.0).collect();
        let (weight, bias) = (numbers(2, width), numbers(3, width));
        let exact = x.chunks(width).flat_map(|row| {
            let mean = row.iter().map(|&v| f64::from(v)).sum::<f64>() / width as f64;
            let variance =
                row.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / width as f64;
            let scale = 1.0 / (variance + 1e-5).sqrt();
            let one = |i: usize| {
                (f64::from(row[i]) - mean) * scale * f64::from(weight[i]) + f64::from(bias[i])
            };
            (0..width).map(one).collect::<Vec<_>>()
        });
        let exact: Vec<f64> = exact.collect();
        let mut out = vec![f32::NAN; 3 * width];
        layer_norm(level, &x, &weight, &bias, 1e-5, &mut out);
        let worst = difference(&out, &exact);
        assert!(worst < 5e-5, "{level:?} {width}: {worst}");
    }
}

#[test]
fn attention_is_what_its_formula_says_even_for_large_scores() {
    let shapes = [(1, 1, 1, 1), (5, 5, 3, 4), (17, 17, 16, 16), (9, 65, 64, 64)];
    for (level, (queries, keys, width, large)) in
        Level::all().into_iter().flat_map(|l| shapes.map(|s| (l, s)))
    {
        let q: Vec<f32> = numbers(1, queries * width).iter().map(|v| v * large as f32).collect();
        let (k, v) = (numbers(2, keys * width), numbers(3, keys * width));
        let mut key_panels = Panels::zeros(level, width, keys);
        key_panels.fill_transposed(&k, width);
        let mut out = vec![f32::NAN; queries * width];
        let values = Panels::new(level, keys, width, &v);
        let (q, q_stride, scale, keys_of) = (&q[..], width, 0.7, &key_panels);
        level.run(Attend {
            q,
            q_stride,
            queries,
            scale,
            keys: keys_of,
            values: &values,
            out: &mut out,
        });
        let exact = (0..queries).flat_map(|query| {
            let score = |key: usize| {
                let products = (0..width)
                    .map(|d| f64::from(q[query * width + d]) * f64::from(k[key * width + d]));
                f64::from(0.7_f32) * products.sum::<f64>()
            };
            let scores: Vec<f64> = (0..keys).map(score).collect();
            let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let shares: Vec<f64> = scores.iter().map(|s| (s - largest).exp()).collect();
            let total: f64 = shares.iter().sum();
            let mix = |d: usize| {
                (0..keys).map(|key| shares[key] * f64::from(v[key * width + d])).sum::<f64>()
                    / total
            };
            (0..width).map(mix).collect::<Vec<_>>()
        });
        let worst = difference(&out, &exact.collect::<Vec<_>>());
        assert!(worst < 3e-5, "{level:?} {queries} queries, {keys} keys of {width}: {worst}");
    }
}

#[test]
fn heads_are_rotated_as_the_formula_says() {
    for (level, (rows, heads, width)) in Level::all()
        .into_iter()
        .flat_map(|l| [(1, 1, 4), (3, 2, 8), (2, 5, 20), (5, 3, 64), (2, 1, 96)].map(|s| (l, s)))
    {
        let x = numbers(1, rows * heads * width);
        let (cos, sin) = (numbers(2, rows * width), numbers(3, rows * width));
        let mut out = x.clone();
        level.run(Rotate { x: &mut out, width, cos: &cos, sin: &sin });
        let exact = (0..x.len()).map(|i| {
            let (row, at) = (i / (heads * width), i % width);
            let turned = if at < width / 2 { -x[i + width / 2] } else { x[i - width / 2] };
            let [cos, sin] = [&cos, &sin].map(|table| f64::from(table[row * width + at]));
            f64::from(x[i]) * cos + f64::from(turned) * sin
        });
        let worst = difference(&out, &exact.collect::<Vec<_>>());
        assert!(worst < 3e-7, "{level:?} {rows} rows, {heads} heads of {width}: {worst}");
        out = x.clone();
        out[0] = f32::NAN;
        level.run(Rotate { x: &mut out, width, cos: &cos, sin: &sin });
        assert!(out[0].is_nan() && out[width / 2].is_nan(), "{level:?}");
    }
}

#[test]
fn what_is_not_finite_is_never_hidden() {
    for level in Level::all() {
        for bad in [f32::NAN, f32::INFINITY] {
            let mut x = vec![1.0; 3 * 8];
            x[8] = bad;
            let weight = Panels::new(level, 8, 8, &[1.0; 64]);
            let mut out = vec![0.0; 3 * 8];
            let activation = Activation::QuickGelu;
            level.run(Linear { activation, ..Linear::product(&x, 3, &weight, &mut out) });
            assert!(out[..8].iter().chain(&out[16..]).all(|v| v.is_finite()), "{level:?}");
            assert!(out[8..16].iter().all(|v| !v.is_finite()), "{level:?} {bad}: {out:?}");
            layer_norm(level, &x, &[1.0; 8], &[0.0; 8], 1e-5, &mut out);
            assert!(out[8..16].iter().all(|v| !v.is_finite()), "{level:?} {bad}: {out:?}");
            let mut keys = Panels::zeros(level, 8, 3);
            keys.fill_transposed(&x, 8);
            let values = Panels::new(level, 3, 8, &[1.0; 24]);
            let (q, q_stride, queries, scale) = (&[1.0; 8], 8, 1, 1.0);
            level.run(Attend {
                q,
                q_stride,
                queries,
                scale,
                keys: &keys,
                values: &values,
                out: &mut out[..8],
            });
            assert!(out[..8].iter().all(|v| !v.is_finite()), "{level:?} {bad}: {out:?}");
        }
    }
}

/// The product as its definition says: each row and each column rounded to steps, the steps
/// multiplied exactly.
fn rounded_product(x: &[f32], w: &[f32], rows: usize, k: usize, n: usize) -> Vec<f64> {
    let scale = |values: &mut dyn Iterator<Item = f32>| {
        values.fold(0.0, |most: f32, v| most.max(v.abs())) / 127.0
    };
    let steps = |value: f32, scale: f32| {
        if scale > 0.0 { f64::from((value / scale).round_ties_even()) } else { 0.0 }
    };
    let row_scale: Vec<f32> =
        (0..rows).map(|r| scale(&mut x[r * k..][..k].iter().copied())).collect();
    let column_scale: Vec<f32> = (0..n).map(|c| scale(&mut (0..k).map(|d| w[d * n + c]))).collect();
    let at = |r: usize, c: usize| {
        let one =
            |d: usize| steps(x[r * k + d], row_scale[r]) * steps(w[d * n + c], column_scale[c]);
        (0..k).map(one).sum::<f64>() * f64::from(row_scale[r]) * f64::from(column_scale[c])
    };
    (0..rows * n).map(|i| at(i / n, i % n)).collect()
}

#[test]
fn eight_bits_are_what_their_definition_says_and_the_same_with_all_instructions() {
    for (rows, k, n) in
        [(1, 1, 1), (1, 64, 100), (3, 7, 5), (8, 48, 48), (13, 33, 70), (29, 20, 131), (9, 130, 16)]
    {
        let (mut x, w) = (numbers(1, rows * k), numbers(2, k * n));
        // A row of zeros, and a large value beside small ones.
        x[..k].fill(0.0);
        x[rows * k - 1] = 9.0;
        let of =
            |level| Int8Panels::new(level, k, n, &w).product(level, &Int8Rows::new(level, &x, k));
        let first = of(Level::best());
        let worst = difference(&first, &rounded_product(&x, &w, rows, k, n));
        // A step may be rounded the other way where a value lies between two.
        assert!(worst < 0.1 * f64::from(u32::from(k > 1)) + 1e-6, "{rows}x{k}x{n}: {worst}");
        let exact = difference(&first, &product(&x, &w, rows, k, n));
        assert!(exact < 0.06 * (k as f64).sqrt() + 0.05, "{rows}x{k}x{n}: {exact}");
        for level in Level::all() {
            assert_eq!(of(level), first, "{level:?} {rows}x{k}x{n}");
        }
    }
}

#[test]
fn eight_bits_do_not_hide_what_is_not_finite() {
    for (level, bad) in
        Level::all().into_iter().flat_map(|l| [f32::NAN, f32::INFINITY].map(|bad| (l, bad)))
    {
        let mut x = vec![1.0; 3 * 8];
        x[9] = bad;
        let out =
            Int8Panels::new(level, 8, 8, &[1.0; 64]).product(level, &Int8Rows::new(level, &x, 8));
        assert!(
            out[8..16].iter().all(|v| v.is_nan())
                && out[..8].iter().chain(&out[16..]).all(|v| v.is_finite())
        );
    }
}
