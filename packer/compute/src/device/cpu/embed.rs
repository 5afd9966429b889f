//! From pixels to tokens: patches, class token, registers, positions.

use std::sync::Arc;

use rayon::prelude::*;

use crate::device::{PatchSize, TokenParts, TokenSize};

use super::{Chunk, Cpu, Real};

type Buffer<T> = Arc<Chunk<T>>;

pub fn patches<T: Real>(cpu: &Cpu<T>, size: PatchSize, images: &[T]) -> Buffer<T> {
    let columns = size.columns();
    cpu.by_rows(size.rows() * columns, columns, |first, out| {
        for (i, out) in out.chunks_exact_mut(columns).enumerate() {
            for (line, out) in out.chunks_exact_mut(size.patch).enumerate() {
                let start = pixel(size, first + i, line);
                out.copy_from_slice(&images[start..start + size.patch]);
            }
        }
    })
}

/// Patches do not overlap: each pixel's gradient comes from one place, or is zero beyond the last
/// whole patch.
pub fn patches_backward<T: Real>(cpu: &Cpu<T>, size: PatchSize, dy: &[T]) -> Buffer<T> {
    let image = 3 * size.height * size.width;
    let (columns, grid) = (size.columns(), size.rows() / size.batch);
    let mut out = cpu.take(size.batch * image);
    out.par_chunks_mut(image).enumerate().for_each(|(b, out)| {
        out.fill(T::ZERO);
        for row in 0..grid {
            let dy = &dy[(b * grid + row) * columns..][..columns];
            for (line, dy) in dy.chunks_exact(size.patch).enumerate() {
                let start = pixel(size, row, line);
                out[start..start + size.patch].copy_from_slice(dy);
            }
        }
    });
    cpu.wrap(out)
}

pub fn tokens<T: Real>(cpu: &Cpu<T>, size: TokenSize, parts: TokenParts<&[T]>) -> Buffer<T> {
    let TokenSize { patches, columns, .. } = size;
    let images = parts.patches.len() / columns / patches;
    let row =
        |of: &[T], row: usize, out: &mut [T]| out.copy_from_slice(&of[row * columns..][..columns]);
    cpu.by_rows(images * size.tokens() * columns, columns, |first, out| {
        for (i, out) in out.chunks_exact_mut(columns).enumerate() {
            let (image, token) = ((first + i) / size.tokens(), (first + i) % size.tokens());
            match (token.checked_sub(size.leading()), parts.class, parts.registers) {
                (Some(patch), ..) => row(parts.patches, image * patches + patch, out),
                (None, Some(class), _) if token == 0 => row(class, 0, out),
                (None, class, Some(registers)) => {
                    row(registers, token - usize::from(class.is_some()), out);
                }
                (None, ..) => unreachable!("each token before the patches has a row"),
            }
            if let Some((place, positions)) = position(size, token).zip(parts.positions) {
                let positions = &positions[place * columns..];
                out.iter_mut().zip(positions).for_each(|(out, position)| *out += *position);
            }
        }
    })
}

pub fn tokens_backward<T: Real>(cpu: &Cpu<T>, size: TokenSize, dy: &[T]) -> TokenParts<Buffer<T>> {
    let TokenSize { class, registers, columns, .. } = size;
    let image = size.tokens() * columns;
    let patch_rows = size.patches * columns;
    let patches = cpu.by_rows(dy.len() / image * patch_rows, columns, |first, out| {
        for (i, out) in out.chunks_exact_mut(columns).enumerate() {
            let (image, patch) = ((first + i) / size.patches, (first + i) % size.patches);
            let row = image * size.tokens() + size.leading() + patch;
            out.copy_from_slice(&dy[row * columns..][..columns]);
        }
    });
    let mut sums = cpu.take(image);
    sums.fill(T::ZERO);
    for dy in dy.chunks_exact(image) {
        sums.iter_mut().zip(dy).for_each(|(sum, dy)| *sum += *dy);
    }
    let rows = |first: &[T], then: &[T]| {
        let mut rows = cpu.take(first.len() + then.len());
        rows[..first.len()].copy_from_slice(first);
        rows[first.len()..].copy_from_slice(then);
        cpu.wrap(rows)
    };
    let (of_class, rest) = sums.split_at(usize::from(class) * columns);
    let (of_registers, of_patches) = rest.split_at(registers * columns);
    let class = class.then(|| rows(of_class, &[]));
    let positions = (size.positions && registers > 0).then(|| rows(of_class, of_patches));
    let registers = (registers > 0).then(|| rows(of_registers, &[]));
    let all = cpu.wrap(sums);
    let whole = (size.positions && registers.is_none()).then_some(all);
    TokenParts { patches, class, registers, positions: positions.or(whole) }
}

/// The row of positions that is added to a token; none for registers.
fn position(size: TokenSize, token: usize) -> Option<usize> {
    match token.checked_sub(size.leading()) {
        Some(patch) => Some(usize::from(size.class) + patch),
        None => (size.class && token == 0).then_some(0),
    }
}

/// Where line `line` (channel-major) of patch `row` begins in the images.
fn pixel(size: PatchSize, row: usize, line: usize) -> usize {
    let (down, across) = size.grid();
    let (image, row) = (row / (down * across), row % (down * across));
    let (channel, y) = (line / size.patch, line % size.patch);
    let (top, left) = (row / across * size.patch, row % across * size.patch);
    ((image * 3 + channel) * size.height + top + y) * size.width + left
}
