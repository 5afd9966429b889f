//! One table of cases, run on the processor in f64 and on every adapter in every form of the
//! kernels; fresh memory is NaN.
//!
//! Where there is no adapter the tests say so and pass, unless MEDFORGE_REQUIRE_GPU=1 says that
//! there must be one.

use std::sync::OnceLock;

use super::forms::{self, Variant};
use super::{Call, Gpu, Options, adapters};
use crate::device::adapter::Kind;
use crate::device::cpu::Cpu;
use crate::device::{
    Activation, AdamW, AttentionSize, Colour, Device, Form, ImageSize, PatchSize, Rectangle, Size,
    Update,
};
use crate::tape::{Dropout, LowRank, Tape, Tensor, Var};

/// Every usable adapter in every form that can run on it, opened once.
fn variants() -> &'static [Variant] {
    static VARIANTS: OnceLock<Vec<Variant>> = OnceLock::new();
    VARIANTS.get_or_init(|| {
        let variants = forms::variants().unwrap();
        if variants.is_empty() {
            let required = std::env::var("MEDFORGE_REQUIRE_GPU").is_ok_and(|v| v == "1");
            assert!(!required, "MEDFORGE_REQUIRE_GPU=1, and no usable GPU adapter is here");
            eprintln!("NO GPU ADAPTER IS HERE: the gpu device is NOT tested");
        }
        variants
    })
}

/// Reproducible multiples of 1/256 in [-1, 1): exact in f16.
fn numbers(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) % 512
    };
    (0..len).map(|_| next() as f32 / 256.0 - 1.0).collect()
}

/// The same computation on the processor in f64 and on every adapter, compared at the tolerance of
/// the result's largest value.
macro_rules! case {
    ($name:expr, $tolerance:expr, |$d:ident| $body:expr) => {{
        let exact = {
            let $d = &Cpu::<f64>::poisoned();
            let buffers: Vec<_> = $body.into_iter().collect();
            buffers.iter().map(|b| $d.download(b).unwrap()).collect::<Vec<_>>()
        };
        for variant in variants() {
            let $d = &variant.gpu;
            let buffers: Vec<_> = $body.into_iter().collect();
            let found: Vec<_> = buffers.iter().map(|b| $d.download(b).unwrap()).collect();
            compare(
                &format!("{}, {}", $name, variant.name),
                variant.half,
                $tolerance,
                &found,
                &exact,
            );
        }
    }};
}

fn compare(name: &str, half: bool, tolerance: f32, found: &[Vec<f32>], exact: &[Vec<f32>]) {
    assert_eq!(found.len(), exact.len(), "{name}");
    for (output, (found, exact)) in found.iter().zip(exact).enumerate() {
        assert_eq!(found.len(), exact.len(), "{name}: output {output}");
        let largest = exact.iter().filter(|x| x.is_finite()).fold(0.0f32, |m, x| m.max(x.abs()));
        let limit = if half { 6e-3 } else { tolerance } * largest.max(0.05);
        for (i, (found, exact)) in found.iter().zip(exact).enumerate() {
            let same = found.is_nan() == exact.is_nan()
                && (exact.is_nan() || (found - exact).abs() <= limit);
            assert!(
                same,
                "{name}: output {output}, value {i}: {found} where {exact} is right (limit \
                 {limit:e})"
            );
        }
    }
}

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
        for kind in [Activation::Gelu, Activation::QuickGelu] {
            case!(format!("linear {size:?} {kind:?}"), 1e-6 * (size.k as f32).sqrt(), |d| {
                let (x, w, b) = (d.upload_frozen(&x), d.upload_frozen(&w), d.upload_frozen(&b));
                let (before, after) = d.linear_activation(kind, size, &x, &w, &b);
                [d.linear(size, &x, &w, &b), before, after]
            });
        }
    }
}

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
            for kind in [Activation::Gelu, Activation::QuickGelu] {
                out.extend([d.activation(kind, &x), d.activation_backward(kind, &y, &x)]);
            }
            out.push(d.zeros(rows));
            out
        });
    }
    let wide: Vec<f32> = (-60..60).map(|i| i as f32 / 4.0).collect();
    case!("activations far out", 2e-6, |d| {
        let x = d.upload_frozen(&wide);
        let kinds = [Activation::Gelu, Activation::QuickGelu];
        kinds.map(|kind| d.activation(kind, &x))
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
        let size = AttentionSize { batch, tokens, heads, width };
        let [q, k, v, dy] = [1, 2, 3, 4].map(|seed| numbers(batch * tokens * heads * width, seed));
        case!(format!("attention {size:?}"), 2e-5, |d| {
            let [q, k, v, dy] = [&q, &k, &v, &dy].map(|x| d.upload_frozen(x));
            let (y, saved) = d.attention(size, &q, &k, &v);
            let [dq, dk, dv] = d.attention_backward(size, &dy, [&q, &k, &v], &y, &saved);
            [y, dq, dk, dv]
        });
    }
}

#[test]
fn pixels_and_tokens() {
    for (batch, height, width, patch) in
        [(1, 2, 2, 2), (2, 6, 4, 2), (1, 7, 11, 3), (3, 28, 28, 14)]
    {
        let size = PatchSize { batch, height, width, patch };
        let (images, dy) =
            (numbers(batch * 3 * height * width, 1), numbers(size.rows() * size.columns(), 2));
        case!(format!("{size:?}"), 1e-6, |d| {
            let (images, dy) = (d.upload_frozen(&images), d.upload_frozen(&dy));
            [d.patches(size, &images), d.patches_backward(size, &dy)]
        });
    }
    for (batch, grid, columns) in [(1, 1, 1), (2, 4, 3), (5, 9, 16)] {
        let (x, cls, table) = (
            numbers(batch * grid * columns, 1),
            numbers(columns, 2),
            numbers((grid + 1) * columns, 3),
        );
        let (dy, first) = (numbers(batch * (grid + 1) * columns, 4), numbers(batch * columns, 5));
        let dmoments = numbers(2 * batch * columns, 6);
        case!(format!("tokens {batch} x {grid} x {columns}"), 2e-6, |d| {
            let [x, cls, table, dy, first, dmoments] =
                [&x, &cls, &table, &dy, &first, &dmoments].map(|v| d.upload_frozen(v));
            let y = d.tokens(&x, &cls, &table);
            let moments = d.token_moments(&dy, columns, grid + 1, 1e-2);
            let spread = d.token_moments_backward(&dmoments, &dy, &moments, columns, grid + 1);
            let (one, back) = (
                d.first_rows(&y, columns, grid + 1),
                d.first_rows_backward(&first, columns, grid + 1),
            );
            let [dx, dcls, dtable] = d.tokens_backward(&dy, columns, grid + 1);
            [y, one, back, dx, dcls, dtable, moments, spread]
        });
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

#[test]
fn augmentations() {
    let turn = |angle: f32, scale: f32, x: f32, y: f32| {
        let (sin, cos) = angle.sin_cos();
        [scale * cos, -scale * sin, x, scale * sin, scale * cos, y]
    };
    for (height, width) in [(1, 1), (5, 8), (16, 16), (30, 17)] {
        let maps = [
            turn(0.0, 1.0, 0.0, 0.0),
            [-1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
            turn(0.7, 0.4, 1.25, -2.5),
            turn(-2.0, 2.5, 0.3, 0.1),
            [1.0, 0.3, -0.75, 0.2, -0.8, 1.5],
        ];
        let size = ImageSize { batch: maps.len(), height, width };
        let (x, dy) = (numbers(size.values(), 1), numbers(size.values(), 2));
        case!(format!("warp {height} x {width}"), 2e-4, |d| {
            let (x, dy) = (d.upload_frozen(&x), d.upload_frozen(&dy));
            [d.warp(size, &x, &maps), d.warp_backward(size, &dy, &maps)]
        });
        let changes: Vec<Colour> = (0..maps.len())
            .map(|i| i as f32 / 4.0)
            .map(|t| Colour { brightness: 0.5 - t, saturation: 2.0 * t, contrast: 0.5 + t })
            .collect();
        let cut: Vec<Rectangle> = (0..maps.len())
            .map(|i| Rectangle {
                top: i,
                left: 2 * i,
                height: 3,
                width: if i == 4 { usize::MAX } else { i },
            })
            .collect();
        case!(format!("colour and cut-out {height} x {width}"), 1e-5, |d| {
            let (x, dy) = (d.upload_frozen(&x), d.upload_frozen(&dy));
            [
                d.colour(size, &x, &changes),
                d.colour_backward(size, &dy, &changes),
                d.cutout(size, &x, &cut),
            ]
        });
    }
}

/// In f16 a step whose gradient is not finite is left out, and the loss scale halved.
#[test]
fn a_gradient_that_is_not_finite_leaves_the_step_out() {
    for variant in variants().iter().filter(|v| v.half) {
        let number = Some(variant.gpu.engine.adapter.index);
        let d =
            &Gpu::open(Options { number, half: true, poison: true, ..Options::default() }).unwrap();
        let scale = || d.download(&d.loss_gradient()).unwrap()[0];
        let (mut weight, mut m, mut v) = (d.upload(&[1.0, 2.0]), d.zeros(2), d.zeros(2));
        let before = scale();
        for (broken, left) in [(f32::INFINITY, 0.5), (f32::NAN, 0.25), (1.0, 0.25)] {
            let gradient = d.upload(&[broken, 1.0]);
            let settings = AdamW {
                learning_rate: 0.1,
                beta1: 0.9,
                beta2: 0.999,
                epsilon: 1e-8,
                weight_decay: 0.0,
                step: 1,
            };
            let state = [&mut m, &mut v];
            d.adamw(settings, vec![Update { weight: &mut weight, gradient: &gradient, state }]);
            assert_eq!(scale() / before, left);
            let moved = d.download(&weight).unwrap() != [1.0, 2.0];
            assert_eq!(moved, broken.is_finite());
        }
    }
}

#[test]
fn adamw() {
    let len = 333;
    let (w, g) = (numbers(len, 1), numbers(len, 2));
    for variant in variants().iter().filter(|v| !v.half) {
        fn run<D: Device>(d: &D, w: &[f32], g: &[f32]) -> Vec<Vec<f32>> {
            let (mut weight, mut m, mut v) = (d.upload(w), d.zeros(w.len()), d.zeros(w.len()));
            let shared = weight.clone();
            for step in 1..=3 {
                let settings = AdamW {
                    learning_rate: 0.1,
                    beta1: 0.9,
                    beta2: 0.999,
                    epsilon: 1e-8,
                    weight_decay: 0.01,
                    step,
                };
                let gradient = d.upload(&g.iter().map(|g| g * step as f32).collect::<Vec<_>>());
                let state = [&mut m, &mut v];
                d.adamw(settings, vec![Update { weight: &mut weight, gradient: &gradient, state }]);
            }
            [weight, m, v, shared].iter().map(|b| d.download(b).unwrap()).collect()
        }
        let exact = run(&Cpu::<f64>::poisoned(), &w, &g);
        compare(&variant.name, false, 2e-5, &run(&variant.gpu, &w, &g), &exact);
    }
}

/// A NaN or an infinity that goes in comes out, in the same places.
#[test]
fn nan_comes_out() {
    let (rows, columns) = (5, 12);
    let mut x = numbers(rows * columns, 1);
    x[17] = f32::NAN;
    let (y, w) = (numbers(rows * columns, 2), numbers(columns * columns, 3));
    let gain = numbers(columns, 4);
    let size = Size { m: rows, n: columns, k: columns };
    let heads = AttentionSize { batch: 1, tokens: rows, heads: 1, width: columns };
    case!("NaN", 2e-5, |d| {
        let [x, y, w, gain] = [&x, &y, &w, &gain].map(|v| d.upload_frozen(v));
        let mut out =
            vec![d.matmul(Form::Nt, size, 1.0, &x, &w), d.matmul(Form::Nn, size, 1.0, &x, &w)];
        out.extend([
            d.residual(&y, &x, Some(&gain)),
            d.column_sum(&x, columns),
            d.layer_norm(&x, &gain, &gain, 1e-3).0,
        ]);
        out.extend([d.activation(Activation::Gelu, &x), d.activation(Activation::QuickGelu, &x)]);
        out.push(d.attention(heads, &x, &y, &y).0);
        out.push(d.attention(heads, &y, &x, &y).0);
        let (loss, p) = d.cross_entropy(&x, columns, &[0, 1, 2, 3, 4]);
        out.extend([loss, p]);
        out
    });
}

#[test]
fn what_is_listed_can_be_chosen() {
    let list = adapters();
    for (i, adapter) in list.iter().enumerate() {
        assert_eq!(adapter.index, i);
    }
    let number = Some(list.len() + 3);
    let error = Gpu::open(Options { number, ..Options::default() })
        .err()
        .expect("there are not so many")
        .to_string();
    assert!(
        error.contains(&format!("gpu:{}", list.len() + 3)) && error.contains("--device cpu"),
        "{error}"
    );
    let order: Vec<Kind> = list.iter().filter(|a| a.unusable.is_none()).map(|a| a.kind).collect();
    assert!(order.is_sorted(), "{order:?}");
}

/// What wgpu refuses becomes an error of the next read, and of every one after it; nothing panics.
#[test]
fn a_validation_error_is_reported_when_something_is_read() {
    const BROKEN: medforge_shaders::Kernel = medforge_shaders::Kernel {
        name: "broken",
        source: "@compute fn main( { this is not WGSL }",
    };
    for variant in variants().iter().filter(|v| !v.half).take(1) {
        let number = Some(variant.gpu.engine.adapter.index);
        let gpu = Gpu::open(Options { number, ..Options::default() }).unwrap();
        let x = gpu.upload(&[1.0, 2.0]);
        assert_eq!(gpu.download(&x).unwrap(), [1.0, 2.0]);
        let call = Call {
            kernel: &BROKEN,
            settings: &[],
            params: &[],
            buffers: &[],
            groups: [1, 1, 1],
            operations: 0,
        };
        gpu.engine.run(call);
        for _ in 0..2 {
            let error = gpu.download(&gpu.zeros(4)).unwrap_err();
            assert!(matches!(error, crate::Error::GpuInvalid { .. }), "{error}");
            assert!(!error.to_string().contains('\n'), "{error}");
        }
        let error = gpu.download(&x).unwrap_err();
        assert!(matches!(error, crate::Error::GpuInvalid { .. }), "{error}");
    }
}
