//! Products, and layers made of them.

use crate::device::{Device, Form, Size};
use crate::tape::{Dropout, LowRank, Tape, Tensor, Var};

use super::*;

const FORMS: [Form; 3] = [Form::Nn, Form::Nt, Form::Tn];

/// Odd sizes, one row, one column, whole tiles, more than a tile in each direction, and long sums
/// of few values.
const SIZES: [Size; 10] = [
    Size { m: 1, n: 1, k: 1 },
    Size { m: 3, n: 5, k: 7 },
    Size { m: 1, n: 40, k: 20 },
    Size { m: 65, n: 1, k: 9 },
    Size { m: 8, n: 8, k: 1 },
    Size { m: 64, n: 64, k: 64 },
    Size { m: 70, n: 36, k: 300 },
    Size { m: 129, n: 132, k: 20 },
    Size { m: 33, n: 67, k: 18 },
    Size { m: 16, n: 24, k: 1030 },
];

#[test]
fn products() {
    for form in FORMS {
        for (i, size) in SIZES.into_iter().enumerate() {
            let Size { m, n, k } = size;
            let (a, b, c) = (numbers(m * k, 1 + i as u32), numbers(n * k, 50), numbers(m * n, 99));
            case!(format!("{form:?} {size:?}"), 1e-6 * (k as f32).sqrt(), |d| {
                let (a, b) = (d.upload_frozen(&a), d.upload_frozen(&b));
                let mut sum = d.upload(&c);
                let kept = sum.clone();
                d.matmul_add(&mut sum, form, size, -0.25, &a, &b);
                [d.matmul(form, size, 0.5, &a, &b), sum, kept]
            });
        }
    }
}

#[test]
fn linear_layers() {
    for size in SIZES {
        let (x, w, b) =
            (numbers(size.m * size.k, 1), numbers(size.n * size.k, 2), numbers(size.n, 3));
        for kind in KINDS {
            case!(format!("linear {size:?} {kind:?}"), 1e-6 * (size.k as f32).sqrt(), |d| {
                let (x, w, b) = (d.upload_frozen(&x), d.upload_frozen(&w), d.upload_frozen(&b));
                let (before, after) = d.linear_activation(kind, size, &x, &w, &b);
                [d.linear(size, &x, &w, &b), before, after]
            });
        }
    }
}

/// A layer with a low-rank branch, its magnitude and dropout, and the gradients of all that is
/// trained.
fn low_rank_layer<D: Device + 'static>(
    d: &D,
    [rows, inputs, outputs, rank]: [usize; 4],
    dora: bool,
) -> Vec<D::Buffer> {
    let tape = Tape::new(d);
    let trained = |rows: usize, columns: usize, seed: u32| {
        tape.parameter(Tensor::new(d, &numbers(rows * columns, seed), rows, columns))
    };
    let frozen = |rows: usize, columns: usize, seed: u32| {
        Tensor::frozen(d, &numbers(rows * columns, seed), rows, columns)
    };
    let x = tape.parameter(frozen(rows, inputs, 1));
    let (a, b, magnitude) =
        (trained(rank, inputs, 2), trained(outputs, rank, 3), trained(1, outputs, 4));
    let dropout = Some(Dropout { rate: 0.3, seed: 1, step: 1, site: 1, first: 0, images: rows });
    let plain = LowRank { dropout, ..LowRank::plain(a.clone(), b.clone(), 0.5) };
    let lora = if dora { LowRank { magnitude: Some(magnitude.clone()), ..plain } } else { plain };
    let (w, bias) =
        (Var::constant(frozen(outputs, inputs, 5)), Var::constant(frozen(1, outputs, 6)));
    let y = tape.linear(&x, &w, Some(&bias), Some(&lora));
    let dy = d.upload_frozen(&numbers(rows * outputs, 7));
    let mut found = vec![y.value.buffer.clone()];
    let gradients = tape.backward_from([(&y, dy)]);
    found.extend([&x, &a, &b, &magnitude].into_iter().filter_map(|var| gradients.of(var).cloned()));
    found
}

#[test]
fn low_rank_layers_with_dropout_and_magnitude() {
    for size in [[1, 1, 1, 1], [7, 20, 12, 3], [33, 65, 17, 2], [130, 48, 64, 4]] {
        for dora in [false, true] {
            case!(format!("low-rank layer {size:?}, DoRA {dora}"), 2e-5, |d| low_rank_layer(
                d, size, dora
            ));
        }
    }
}
