//! The gradients of what makes tokens and of what is made of them.

use crate::device::{RotarySize, TokenParts};

use super::*;

/// Class token or none, and registers.
const LEADING: [(bool, usize); 4] = [(true, 0), (false, 0), (true, 3), (false, 2)];

#[test]
fn tokens() {
    for (class, registers) in LEADING {
        for positions in [false, true] {
            for (images, patches, columns) in [(1, 1, 1), (3, 4, 5)] {
                let shapes = [
                    Some((images * patches, columns)),
                    class.then_some((1, columns)),
                    (registers > 0).then_some((registers, columns)),
                    positions.then_some((patches + usize::from(class), columns)),
                ];
                let shapes: Vec<_> = shapes.into_iter().flatten().collect();
                let name = format!("tokens, class {class}, registers {registers}, {positions}");
                check(&name, &shapes, |t, v| {
                    t.tokens(parts_of(v, class, registers, positions), patches)
                });
            }
        }
    }
}

/// The variables as what they are of, in their order.
fn parts_of(v: &[Var<D>], class: bool, registers: usize, positions: bool) -> TokenParts<&Var<D>> {
    let mut rest = v[1..].iter();
    let mut next = |wanted: bool| if wanted { rest.next() } else { None };
    TokenParts {
        patches: &v[0],
        class: next(class),
        registers: next(registers > 0),
        positions: next(positions),
    }
}

/// Rows by hand: class token and register of two, patches of ten, positions of a hundred.
#[test]
fn tokens_stand_in_their_order_and_registers_have_no_position() {
    let device = D::poisoned();
    let column = |values: &[f32]| Var::constant(Tensor::new(&device, values, values.len(), 1));
    let parts = [column(&[10.0, 11.0, 12.0, 13.0]), column(&[1.0]), column(&[2.0, 3.0])];
    let positions = column(&[100.0, 200.0, 300.0]);
    let tape = Tape::new(&device);
    let [patches, class, registers] = parts.each_ref();
    let parts = TokenParts {
        patches,
        class: Some(class),
        registers: Some(registers),
        positions: Some(&positions),
    };
    let y = tape.tokens(parts, 2);
    let expected = [101.0, 2.0, 3.0, 210.0, 311.0, 101.0, 2.0, 3.0, 212.0, 313.0];
    assert_eq!(device.values(&y.value.buffer), expected);
}

#[test]
fn rows_of_tokens() {
    for (images, patches, columns) in [(1, 1, 1), (3, 4, 5)] {
        for leading in [0, 1, 3] {
            let tokens = leading + patches;
            let shape = [(images * tokens, columns)];
            check("first rows", &shape, |t, v| t.first_rows(&v[0], tokens));
            check("patch mean", &shape, |t, v| t.patch_mean(&v[0], leading..tokens, false));
            check("token moments", &shape, |t, v| t.token_moments(&v[0], leading..tokens, 1e-2));
            if leading > 0 {
                check("class beside the patch mean", &shape, |t, v| {
                    t.patch_mean(&v[0], leading..tokens, true)
                });
            }
        }
    }
}

#[test]
fn rotations() {
    for (images, patches, leading, heads, width) in
        [(1, 1, 0, 1, 2), (2, 3, 1, 2, 4), (2, 4, 3, 1, 6)]
    {
        let device = D::poisoned();
        let angles = numbers(patches * width / 2, 50);
        let table = |of: fn(f32) -> f32| {
            let values: Vec<f32> = angles.iter().map(|a| of(3.0 * a)).collect();
            Tensor::new(&device, &values, patches, width / 2)
        };
        let tables = [table(f32::cos), table(f32::sin)];
        let tokens = leading + patches;
        let size = RotarySize { tokens, leading, heads, width };
        check("rotation", &[(images * tokens, heads * width)], |t, v| {
            t.rotate(&v[0], size, &tables)
        });
    }
}

/// One head of four values: the first with the third, the second with the fourth.
#[test]
fn patches_are_rotated_by_halves_of_a_head() {
    let device = D::poisoned();
    let tables = [[0.0, 1.0], [1.0, 0.0]].map(|row| Tensor::new(&device, &row, 1, 2));
    let x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
    let x = Var::constant(Tensor::new(&device, &x, 2, 4));
    let size = RotarySize { tokens: 2, leading: 1, heads: 1, width: 4 };
    let y = Tape::new(&device).rotate(&x, size, &tables);
    let expected = [1.0, 2.0, 3.0, 4.0, -7.0, 6.0, 5.0, 8.0];
    assert_eq!(device.values(&y.value.buffer), expected);
}

#[test]
fn a_norm_of_each_head() {
    check("norm of heads", &[(3, 8), (1, 4), (1, 4)], |t, v| {
        let heads = v[0].reshaped(6, 4);
        t.layer_norm(&heads, &v[1], &v[2], 1e-2).reshaped(3, 8)
    });
}
