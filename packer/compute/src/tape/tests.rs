//! Every operation's gradient against central differences, in f64 on a device whose fresh memory is
//! NaN.

use crate::device::cpu::Cpu;
use crate::device::{Activation, AttentionSize, Device, PatchSize};

use super::{Dropout, LowRank, Tape, Tensor, Var};

mod dora;
mod image;
mod recomputed;
mod tokens;
mod values;

type D = Cpu<f64>;

const KINDS: [Activation; 4] =
    [Activation::Gelu, Activation::QuickGelu, Activation::GeluTanh, Activation::Silu];

/// Differences are taken over +-STEP. Inputs are multiples of 2^-8, so that input +- STEP is exact
/// in the f32 of `upload`.
const STEP: f64 = 1.0 / 4096.0;

/// Compares the gradients of sum(f(inputs) * weights) with central differences at every element of
/// every input.
fn check(name: &str, shapes: &[(usize, usize)], f: impl Fn(&Tape<D>, &[Var<D>]) -> Var<D>) {
    let device = D::poisoned();
    let inputs: Vec<Vec<f32>> =
        shapes.iter().enumerate().map(|(i, (r, c))| numbers(r * c, i as u32 + 1)).collect();
    let run = |inputs: &[Vec<f32>]| {
        let tape = Tape::new(&device);
        let vars: Vec<_> = inputs
            .iter()
            .zip(shapes)
            .map(|(x, (r, c))| tape.parameter(Tensor::new(&device, x, *r, *c)))
            .collect();
        let y = f(&tape, &vars);
        let loss = weigh(&tape, &y);
        let value = device.values(&loss.value.buffer)[0];
        (value, tape, loss, vars)
    };
    let (value, tape, loss, vars) = run(&inputs);
    assert!(value.is_finite(), "{name}: the value is not finite");
    let gradients = tape.backward(&loss);
    for (i, var) in vars.iter().enumerate() {
        let gradient =
            gradients.of(var).unwrap_or_else(|| panic!("{name}: input {i} has no gradient"));
        let gradient = device.values(gradient);
        assert_eq!(
            gradient.len(),
            inputs[i].len(),
            "{name}: the gradient of input {i} has another size"
        );
        for at in 0..inputs[i].len() {
            let shifted = |sign: f64| {
                let mut inputs = inputs.clone();
                inputs[i][at] += (sign * STEP) as f32;
                run(&inputs).0
            };
            let difference = (shifted(1.0) - shifted(-1.0)) / (2.0 * STEP);
            let error = (gradient[at] - difference).abs();
            assert!(
                error < 1e-5 * (1.0 + difference.abs()),
                "{name}: input {i}, element {at}: {} against {difference}",
                gradient[at]
            );
        }
    }
}

/// One number from a matrix: fixed, uneven weights for all of its elements.
fn weigh(tape: &Tape<D>, y: &Var<D>) -> Var<D> {
    let device = D::poisoned();
    let (rows, columns) = (y.value.rows, y.value.columns);
    if (rows, columns) == (1, 1) {
        return y.clone();
    }
    let right = Var::constant(Tensor::new(&device, &numbers(columns, 91), 1, columns));
    let left = Tensor::new(&device, &numbers(rows, 92), 1, rows);
    tape.resample(&left, &tape.linear(y, &right, None, None))
}

/// Multiples of 1/256 in [-1, 1), reproducible.
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

#[test]
fn linear() {
    for (rows, inputs, outputs) in [(1, 1, 1), (3, 5, 2), (7, 4, 9), (1, 17, 3)] {
        check("linear", &[(rows, inputs), (outputs, inputs), (1, outputs)], |t, v| {
            t.linear(&v[0], &v[1], Some(&v[2]), None)
        });
        check("linear without bias", &[(rows, inputs), (outputs, inputs)], |t, v| {
            t.linear(&v[0], &v[1], None, None)
        });
        for rank in [1, 3] {
            let shapes =
                [(rows, inputs), (outputs, inputs), (1, outputs), (rank, inputs), (outputs, rank)];
            check("linear with LoRA", &shapes, |t, v| {
                let lora = LowRank::plain(v[3].clone(), v[4].clone(), 0.5);
                t.linear(&v[0], &v[1], Some(&v[2]), Some(&lora))
            });
        }
    }
}

#[test]
fn residual() {
    check("residual", &[(3, 4), (3, 4)], |t, v| t.residual(&v[0], &v[1], None));
    check("layer scale", &[(300, 3), (300, 3), (1, 3)], |t, v| {
        t.residual(&v[0], &v[1], Some(&v[2]))
    });
    check("one value added to itself", &[(2, 3)], |t, v| t.residual(&v[0], &v[0], None));
}

#[test]
fn layer_norm() {
    for (rows, columns) in [(1, 2), (3, 7), (5, 16), (2, 33)] {
        check("layer norm", &[(rows, columns), (1, columns), (1, columns)], |t, v| {
            t.layer_norm(&v[0], &v[1], &v[2], 1e-2)
        });
    }
}

#[test]
fn activation() {
    for kind in KINDS {
        check("activation", &[(3, 19)], |t, v| t.activation(kind, &v[0]));
        check("gated product", &[(3, 19); 2], |t, v| t.gated(kind, &v[0], &v[1]));
        check("a gate of itself", &[(2, 3)], |t, v| t.gated(kind, &v[0], &v[0]));
    }
}

#[test]
fn attention() {
    for (batch, tokens, heads, width) in [(1, 1, 1, 1), (2, 3, 2, 2), (1, 17, 1, 3), (3, 2, 3, 1)] {
        for queries in [1, tokens, tokens + 2] {
            let size = AttentionSize { batch, queries, tokens, heads, width };
            let keys = (batch * tokens, heads * width);
            check("attention", &[(batch * queries, heads * width), keys, keys], |t, v| {
                t.attention(&v[0], &v[1], &v[2], size)
            });
        }
    }
}

#[test]
fn l2_normalise() {
    for shape in [(1, 1), (1, 5), (7, 1), (3, 17), (2, 33)] {
        check("l2 normalise", &[shape], |t, v| t.l2_normalise(&v[0], 1e-6));
        check("l2 normalise by epsilon alone", &[shape], |t, v| t.l2_normalise(&v[0], 100.0));
    }
}

#[test]
fn patches() {
    for (batch, height, width, patch) in [(1, 2, 2, 2), (2, 4, 6, 2), (1, 7, 5, 3)] {
        let size = PatchSize { batch, height, width, patch };
        check("patches", &[(batch, 3 * height * width)], |t, v| t.patches(&v[0], size));
    }
}

#[test]
fn resample() {
    let m = Tensor::new(&D::poisoned(), &numbers(6, 7), 3, 2);
    check("resample", &[(2, 5)], |t, v| t.resample(&m, &v[0]));
}

#[test]
fn cross_entropy() {
    check("cross-entropy", &[(4, 3)], |t, v| t.cross_entropy(&v[0], &[0, 2, 1, 2]).0);
    check("cross-entropy of one row", &[(1, 2)], |t, v| t.cross_entropy(&v[0], &[1]).0);
}

#[test]
fn a_constant_gets_no_gradient_and_costs_no_node() {
    let device = D::poisoned();
    let tape = Tape::new(&device);
    let x = Var::constant(Tensor::new(&device, &[1.0, 2.0], 1, 2));
    let y = tape.activation(Activation::Gelu, &x);
    assert!(!y.needs_gradient());
    let w = tape.parameter(Tensor::new(&device, &[1.0, 1.0], 1, 2));
    let loss = tape.linear(&y, &w, None, None);
    let gradients = tape.backward(&loss);
    assert!(gradients.of(&w).is_some() && gradients.of(&x).is_none());
}
