//! Tokens of images, and what is done with rows of them.

use crate::device::{Device, PatchRows, RotarySize, TokenParts, TokenSize};

use super::*;

/// Images, patches of each and columns.
const SIZES: [[usize; 3]; 3] = [[1, 1, 1], [2, 4, 3], [5, 9, 16]];

#[test]
fn tokens_of_every_kind() {
    for [images, patches, columns] in SIZES {
        for (class, registers) in [(true, 0), (false, 0), (true, 4), (false, 1)] {
            for positions in [false, true] {
                let size = TokenSize { class, registers, patches, positions, columns };
                let rows = |rows: usize, seed| numbers(rows * columns, seed);
                let (x, cls) = (rows(images * patches, 1), rows(1, 2));
                let (extra, table) = (rows(registers, 3), rows(size.positions(), 4));
                let dy = rows(images * size.tokens(), 5);
                case!(format!("{size:?}"), 2e-6, |d| {
                    let some = |wanted: bool, of: &[f32]| wanted.then(|| d.upload_frozen(of));
                    let (patches, class) = (d.upload_frozen(&x), some(class, &cls));
                    let (registers, positions) =
                        (some(registers > 0, &extra), some(positions, &table));
                    let parts = TokenParts {
                        patches: &patches,
                        class: class.as_ref(),
                        registers: registers.as_ref(),
                        positions: positions.as_ref(),
                    };
                    let y = d.tokens(size, parts);
                    let gradients = d.tokens_backward(size, &d.upload_frozen(&dy));
                    [y].into_iter().chain(gradients.list())
                });
            }
        }
    }
}

#[test]
fn rows_of_tokens() {
    for [images, patches, columns] in SIZES {
        for leading in [0, 1, 5] {
            let tokens = leading + patches;
            let rows = PatchRows { columns, tokens, leading };
            let (x, one) = (numbers(images * tokens * columns, 1), numbers(images * columns, 2));
            let two = numbers(2 * images * columns, 3);
            case!(format!("{rows:?} of {images}"), 2e-6, |d| {
                let [x, one, two] = [&x, &one, &two].map(|v| d.upload_frozen(v));
                let moments = d.token_moments(rows, &x, 1e-2);
                let spread = d.token_moments_backward(rows, &two, &x, &moments);
                let mut out = vec![moments, spread];
                out.push(d.first_rows(&x, columns, tokens));
                out.push(d.first_rows_backward(&one, columns, tokens));
                out.push(d.patch_mean(rows, &x, false));
                out.push(d.patch_mean_backward(rows, &one, false));
                if leading > 0 {
                    out.push(d.patch_mean(rows, &x, true));
                    out.push(d.patch_mean_backward(rows, &two, true));
                }
                out
            });
        }
    }
}

#[test]
fn rotations() {
    for (images, patches, leading, heads, width) in
        [(1, 1, 0, 1, 2), (2, 4, 1, 3, 4), (3, 9, 5, 2, 16), (1, 25, 0, 2, 6)]
    {
        let tokens = leading + patches;
        let size = RotarySize { tokens, leading, heads, width };
        let x = numbers(images * tokens * heads * width, 1);
        let table = patches * width / 2;
        let tables = [numbers(table, 2), numbers(table, 3)];
        case!(format!("{size:?} of {images}"), 2e-6, |d| {
            let x = d.upload_frozen(&x);
            let [narrow, wide] = [
                tables.each_ref().map(|table| d.upload_frozen(table)),
                tables.each_ref().map(|table| d.upload(table)),
            ];
            let both = [narrow.each_ref(), wide.each_ref()];
            both.into_iter()
                .flat_map(|tables| {
                    [d.rotate(size, &x, tables), d.rotate_backward(size, &x, tables)]
                })
                .collect::<Vec<_>>()
        });
    }
}
