//! Images under affine maps (bilinear, zeros around them) and their gradient, parallel over the
//! images of a batch.

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use crate::device::{Affine, ImageSize};

use super::{Chunk, Cpu, Real};

type Buffer<T> = Arc<Chunk<T>>;

pub fn forward<T: Real>(cpu: &Cpu<T>, size: ImageSize, images: &[T], maps: &[Affine]) -> Buffer<T> {
    each_pixel(cpu, size, images, maps, |source, map, x, y| {
        let (x, y) = map.source(x, y);
        let inside = x > -1.0 && y > -1.0 && x < size.width as f64 && y < size.height as f64;
        if !inside {
            return [T::ZERO; 3];
        }
        let columns = x.floor() as isize..x.floor() as isize + 2;
        let rows = y.floor() as isize..y.floor() as isize + 2;
        gather(size, source, rows, columns, |row, column| {
            tent(x - column as f64) * tent(y - row as f64)
        })
    })
}

/// Each source pixel gathers from the output pixels that read it. They lie in the parallelogram
/// that the inverse of the map makes of the square of side 2 around the source pixel; its bounding
/// box is gone through.
pub fn backward<T: Real>(cpu: &Cpu<T>, size: ImageSize, dy: &[T], maps: &[Affine]) -> Buffer<T> {
    each_pixel(cpu, size, dy, maps, |dy, map, x, y| {
        let (rows, columns) = map.readers(x, y);
        gather(size, dy, rows, columns, |row, column| {
            let (from_x, from_y) = map.source(column as f64, row as f64);
            tent(from_x - x) * tent(from_y - y)
        })
    })
}

/// A map between pixel numbers, in f64 so that both directions agree on who reads whom.
struct Map {
    forward: [f64; 4],
    /// The inverse of `forward`.
    inverse: [f64; 4],
    shift: [f64; 2],
    /// The number of the pixel at the image's centre, where there is one.
    centre: [f64; 2],
}

impl Map {
    fn new(size: ImageSize, map: &Affine) -> Self {
        let [a, b, x, c, d, y] = map.map(f64::from);
        let scale = 1.0 / (a * d - b * c);
        Map {
            forward: [a, b, c, d],
            inverse: [d * scale, -b * scale, -c * scale, a * scale],
            shift: [x, y],
            centre: [(size.width as f64 - 1.0) / 2.0, (size.height as f64 - 1.0) / 2.0],
        }
    }

    /// Where the output pixel (x, y) is read from.
    fn source(&self, x: f64, y: f64) -> (f64, f64) {
        let (x, y) = (x - self.centre[0], y - self.centre[1]);
        let [a, b, c, d] = self.forward;
        (
            a * x + b * y + self.shift[0] + self.centre[0],
            c * x + d * y + self.shift[1] + self.centre[1],
        )
    }

    /// The rows and columns of the output in which the source pixel (x, y) is read, not yet clipped
    /// to the image.
    fn readers(&self, x: f64, y: f64) -> (Range<isize>, Range<isize>) {
        /// What rounding may put a pixel outside by: its weight is then as small, but the two
        /// directions would not agree.
        const MARGIN: f64 = 1e-6;
        let (x, y) = (x - self.centre[0] - self.shift[0], y - self.centre[1] - self.shift[1]);
        let [a, b, c, d] = self.inverse;
        let around = |middle: f64, reach: f64| {
            (middle - reach - MARGIN).ceil() as isize
                ..((middle + reach + MARGIN).floor() as isize).saturating_add(1)
        };
        (
            around(c * x + d * y + self.centre[1], c.abs() + d.abs()),
            around(a * x + b * y + self.centre[0], a.abs() + b.abs()),
        )
    }
}

/// New images, each pixel's three values being `value(image, map, x, y)`.
fn each_pixel<T: Real>(
    cpu: &Cpu<T>,
    size: ImageSize,
    images: &[T],
    maps: &[Affine],
    value: impl Fn(&[T], &Map, f64, f64) -> [T; 3] + Sync,
) -> Buffer<T> {
    assert_eq!(images.len(), size.values());
    size.check_maps(maps);
    let pixels = size.pixels();
    let mut out = cpu.take(images.len());
    out.par_chunks_mut(3 * pixels).zip(images.par_chunks(3 * pixels)).zip(maps).for_each(
        |((out, image), map)| {
            let map = Map::new(size, map);
            for row in 0..size.height {
                for column in 0..size.width {
                    let value = value(image, &map, column as f64, row as f64);
                    for (channel, value) in value.into_iter().enumerate() {
                        out[channel * pixels + row * size.width + column] = value;
                    }
                }
            }
        },
    );
    cpu.wrap(out)
}

/// The weighted sum of the pixels in a block, as far as it lies in the image.
fn gather<T: Real>(
    size: ImageSize,
    image: &[T],
    rows: Range<isize>,
    columns: Range<isize>,
    weight: impl Fn(usize, usize) -> f64,
) -> [T; 3] {
    let clip = |range: Range<isize>, end: usize| {
        range.start.max(0) as usize..range.end.clamp(0, end as isize) as usize
    };
    let mut sum = [T::ZERO; 3];
    for row in clip(rows, size.height) {
        for column in clip(columns.clone(), size.width) {
            let weight = T::from_f64(weight(row, column));
            if weight > T::ZERO {
                for (channel, sum) in sum.iter_mut().enumerate() {
                    *sum += weight * image[channel * size.pixels() + row * size.width + column];
                }
            }
        }
    }
    sum
}

/// The weight of a pixel at this distance in one direction.
fn tent(distance: f64) -> f64 {
    (1.0 - distance.abs()).max(0.0)
}
