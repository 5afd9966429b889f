//! Colour changes and cut-outs of images, parallel over the images of a batch.

use std::sync::Arc;

use rayon::prelude::*;

use crate::device::{Colour, ImageSize, Rectangle};

use super::real::{sum, vectorised};
use super::{Chunk, Cpu, Real};

type Buffer<T> = Arc<Chunk<T>>;

/// Saturation leaves a pixel's mean and so the image's mean where brightness put them: one mean
/// serves both steps.
pub fn forward<T: Real>(
    cpu: &Cpu<T>,
    size: ImageSize,
    images: &[T],
    changes: &[Colour],
) -> Buffer<T> {
    assert_eq!((images.len(), changes.len()), (size.values(), size.batch));
    let pixels = size.pixels();
    let mut y = cpu.take(images.len());
    let each = y.par_chunks_mut(3 * pixels).zip(images.par_chunks(3 * pixels)).zip(changes);
    each.for_each(|((y, x), change)| {
        let number = |x: f32| T::from_f64(f64::from(x));
        let [brightness, saturation, contrast] =
            [change.brightness, change.saturation, change.contrast].map(number);
        vectorised(
            #[inline(always)]
            || {
                let total: f64 =
                    x.chunks_exact(size.width).map(|row| sum(row, |x| x).to_f64()).sum();
                let mean = T::from_f64(total / (3 * pixels) as f64) + brightness;
                let third = T::ONE / T::from_f64(3.0);
                let (red, rest) = y.split_at_mut(pixels);
                let (green, blue) = rest.split_at_mut(pixels);
                let planes = red.iter_mut().zip(green).zip(blue);
                let (from, from_rest) = x.split_at(pixels);
                let from = from.iter().zip(from_rest).zip(&from_rest[pixels..]);
                for (((red, green), blue), ((r, g), b)) in planes.zip(from) {
                    let grey = (*r + *g + *b) * third;
                    let change = |x: T| {
                        mean + contrast * (grey + brightness + saturation * (x - grey) - mean)
                    };
                    (*red, *green, *blue) = (change(*r), change(*g), change(*b));
                }
            },
        )
    });
    cpu.wrap(y)
}

/// The change without its brightness is linear and symmetric (averaging is), so it is its own
/// gradient.
pub fn backward<T: Real>(cpu: &Cpu<T>, size: ImageSize, dy: &[T], changes: &[Colour]) -> Buffer<T> {
    let linear: Vec<_> =
        changes.iter().map(|change| Colour { brightness: 0.0, ..*change }).collect();
    forward(cpu, size, dy, &linear)
}

pub fn cutout<T: Real>(
    cpu: &Cpu<T>,
    size: ImageSize,
    images: &[T],
    cut: &[Rectangle],
) -> Buffer<T> {
    assert_eq!((images.len(), cut.len()), (size.values(), size.batch));
    let mut y = cpu.take(images.len());
    y.copy_from_slice(images);
    for (image, cut) in y.chunks_exact_mut(3 * size.pixels()).zip(cut) {
        let bottom = cut.top.saturating_add(cut.height).min(size.height);
        let right = cut.left.saturating_add(cut.width).min(size.width);
        for plane in image.chunks_exact_mut(size.pixels()) {
            for row in cut.top..bottom {
                if cut.left < right {
                    plane[row * size.width + cut.left..row * size.width + right].fill(T::ZERO);
                }
            }
        }
    }
    cpu.wrap(y)
}
