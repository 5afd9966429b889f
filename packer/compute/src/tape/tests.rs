//! Every operation's gradient against central differences, in f64 on a device whose fresh memory is
//! NaN.

use crate::device::cpu::Cpu;
use crate::device::{Activation, AttentionSize, Device, PatchSize, Update};

use super::{Dropout, LowRank, Tape, Tensor, Var};

mod dora;
mod image;

type D = Cpu<f64>;

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
    for kind in [Activation::Gelu, Activation::QuickGelu] {
        check("activation", &[(3, 19)], |t, v| t.activation(kind, &v[0]));
    }
}

#[test]
fn attention() {
    for (batch, tokens, heads, width) in [(1, 1, 1, 1), (2, 3, 2, 2), (1, 17, 1, 3), (3, 2, 3, 1)] {
        let shape = (batch * tokens, heads * width);
        check("attention", &[shape; 3], |t, v| {
            t.attention(&v[0], &v[1], &v[2], AttentionSize { batch, tokens, heads, width })
        });
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
fn tokens() {
    for (batch, grid, columns) in [(1, 1, 1), (3, 4, 5)] {
        let shapes = [(batch * grid, columns), (1, columns), (grid + 1, columns)];
        check("tokens", &shapes, |t, v| t.tokens(&v[0], &v[1], &v[2]));
        check("first rows", &[(batch * (grid + 1), columns)], |t, v| t.first_rows(&v[0], grid + 1));
        check("token moments", &[(batch * (grid + 1), columns)], |t, v| {
            t.token_moments(&v[0], grid + 1, 1e-2)
        });
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

#[test]
fn f32_follows_f64() {
    let (wide, narrow) = (D::poisoned(), Cpu::<f32>::poisoned());
    let x = numbers(65 * 48, 5);
    let (gain, bias) = (numbers(48, 6), numbers(48, 7));
    let size = AttentionSize { batch: 1, tokens: 65, heads: 3, width: 16 };
    fn compute<D: Device>(
        d: &D,
        x: &[f32],
        gain: &[f32],
        bias: &[f32],
        size: AttentionSize,
    ) -> Vec<f32> {
        let (x, gain, bias) = (d.upload(x), d.upload(gain), d.upload(bias));
        let (x, _) = d.layer_norm(&x, &gain, &bias, 1e-6);
        let (y, _) = d.attention(size, &x, &x, &x);
        d.download(&d.activation(Activation::Gelu, &y)).unwrap()
    }
    let exact = compute(&wide, &x, &gain, &bias, size);
    let ours = compute(&narrow, &x, &gain, &bias, size);
    for (i, (exact, ours)) in exact.iter().zip(&ours).enumerate() {
        assert!((exact - ours).abs() < 2e-6, "element {i}: {ours} against {exact}");
    }
}

#[test]
fn adamw_follows_the_paper() {
    use crate::device::AdamW;
    let device = D::poisoned();
    let mut weight = device.upload(&[0.5, -1.0]);
    let (mut m, mut v) = (device.zeros(2), device.zeros(2));
    let (mut w, mut first, mut second) = (vec![0.5f64, -1.0], [0.0; 2], [0.0; 2]);
    for step in 1..=3u64 {
        let gradient = [0.25 * step as f32, -0.5];
        let settings = AdamW {
            learning_rate: 0.1,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.01,
            step,
        };
        let uploaded = device.upload(&gradient);
        let update = Update { weight: &mut weight, gradient: &uploaded, state: [&mut m, &mut v] };
        device.adamw(settings, vec![update]);
        for i in 0..2 {
            let g = f64::from(gradient[i]);
            first[i] = 0.9 * first[i] + 0.1 * g;
            second[i] = 0.999 * second[i] + 0.001 * g * g;
            let (m_hat, v_hat) = (
                first[i] / (1.0 - 0.9f64.powi(step as i32)),
                second[i] / (1.0 - 0.999f64.powi(step as i32)),
            );
            w[i] -= 0.1 * (m_hat / (v_hat.sqrt() + 1e-8) + 0.01 * w[i]);
        }
    }
    for (ours, exact) in device.values(&weight).iter().zip(&w) {
        assert!((ours - exact).abs() < 1e-12, "{ours} against {exact}");
    }
}

/// Layers after one another, `x` and the weights being used inside of the parts, between and after
/// them; parts within parts.
fn layers<D: Device + 'static>(tape: &Tape<D>, v: &[Var<D>], recompute: bool) -> Var<D> {
    let part = |tape: &Tape<D>, x: &Var<D>| {
        let (x, v) = (x.clone(), v.to_vec());
        let inside = move |tape: &Tape<D>, x: &Var<D>| {
            let lora = LowRank::plain(v[2].clone(), v[3].clone(), 0.5);
            let y = tape.linear(x, &v[1], None, Some(&lora));
            tape.residual(x, &tape.activation(Activation::Gelu, &y), None)
        };
        let outside = move |tape: &Tape<D>| {
            let (x, inside) = (x.clone(), inside.clone());
            let once = inside(tape, &x);
            let y = if recompute {
                let once = once.clone();
                tape.recomputed(move |tape| inside(tape, &once))
            } else {
                inside(tape, &once)
            };
            tape.residual(&x, &y, None)
        };
        if recompute { tape.recomputed(outside) } else { outside(tape) }
    };
    let first = part(tape, &v[0]);
    let second = part(tape, &tape.residual(&first, &v[0], None));
    tape.residual(&second, &first, None)
}

#[test]
fn recomputed() {
    let shapes = [(3, 4), (4, 4), (2, 4), (4, 2)];
    check("recomputed parts", &shapes, |t, v| layers(t, v, true));
    check("a part that is what goes in", &[(2, 3)], |t, v| {
        let x = v[0].clone();
        t.recomputed(move |_| x.clone())
    });
    let device = Cpu::<f32>::poisoned();
    let run = |recompute: bool| {
        let tape = Tape::new(&device);
        let v = shapes
            .iter()
            .zip(1..)
            .map(|((r, c), i)| Tensor::new(&device, &numbers(r * c, i), *r, *c));
        let v: Vec<_> = v.map(|x| tape.parameter(x)).collect();
        let y = layers(&tape, &v, recompute);
        let dy = device.upload(&numbers(12, 9));
        let gradients = tape.backward_from([(&y, dy)]);
        let mut found = vec![device.download(&y.value.buffer).unwrap()];
        found.extend(v.iter().map(|v| device.download(gradients.of(v).unwrap()).unwrap()));
        found
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn a_recomputed_part_keeps_nothing_but_its_input() {
    use crate::device::meter::Meter;
    let kept = |recompute: bool| {
        let device = Meter::new();
        let tape = Tape::new(&device);
        let mut x = tape.parameter(Tensor::new(&device, &[0.0; 1000], 1, 1000));
        for _ in 0..20 {
            let part = move |tape: &Tape<Meter>| {
                let y = (0..9).fold(x.clone(), |x, _| tape.activation(Activation::Gelu, &x));
                tape.residual(&x, &y, None)
            };
            x = if recompute { tape.recomputed(part) } else { part(&tape) };
        }
        tape.backward_from([(&x, device.zeros(1000))]);
        device.held().1 / 4000
    };
    // One value a part, ten inside of the one under way, and the gradients of two.
    assert!(kept(false) > 20 * 9, "{}", kept(false));
    assert!(kept(true) <= 20 + 10 + 4, "{}", kept(true));
}
