//! Parts that are computed a second time in the backward pass.

use crate::device::meter::Meter;

use super::*;

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
    let kept = |recompute: bool| {
        let device = Meter::new(&Cpu::<f32>::new());
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
