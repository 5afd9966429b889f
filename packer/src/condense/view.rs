//! Siamese augmentation (DSA, Zhao & Bilen 2021): one random view, the same for the real and the
//! synthetic images of an iteration.

use crate::device::{Affine, Colour, Device, ImageSize, Rectangle};
use crate::random::{Purpose, Stream};
use crate::tape::{Tape, Var};

/// How images are looked at: moved, recoloured and partly covered.
#[derive(Clone, Copy, Debug)]
pub struct View {
    map: Affine,
    colour: Colour,
    cut: Rectangle,
}

/// Half the ranges that are drawn from: shift and cut-out as shares of a side, zoom as a logarithm,
/// rotation in radians, brightness in normalised units, saturation and contrast as factors about 1.
const SHIFT: f64 = 0.125;
const ZOOM: f64 = 0.22;
const ROTATION: f64 = 0.26;
const CUT: f64 = 0.25;
const BRIGHTNESS: f64 = 0.3;
const SATURATION: f64 = 0.3;
const CONTRAST: f64 = 0.3;

impl View {
    /// The image as it is.
    pub fn plain() -> View {
        View {
            map: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
            colour: Colour { brightness: 0.0, saturation: 1.0, contrast: 1.0 },
            cut: Rectangle { top: 0, left: 0, height: 0, width: 0 },
        }
    }

    /// The image as it is, or mirrored: the first is plain, then left to right, upside down, both.
    pub fn mirrored(index: usize) -> View {
        let sign = |bit: usize| if index & bit == 0 { 1.0 } else { -1.0 };
        View { map: [sign(1), 0.0, 0.0, 0.0, sign(2), 0.0], ..View::plain() }
    }

    /// The view number `index` of `seed`, for images of `size` x `size`: crop, zoom, rotation and
    /// flips as one map, then colour, then a square cut out.
    pub fn draw(seed: u64, index: usize, size: usize) -> View {
        let mut stream = Stream::at(seed, Purpose::View, index as u64, 0);
        let mut about = |half: f64| stream.range(-half, half);
        let side = size as f64;
        let (dx, dy) = (about(SHIFT) * side, about(SHIFT) * side);
        let (zoom, angle) = (libm::exp(about(ZOOM)), about(ROTATION));
        let (brightness, saturation, contrast) =
            (about(BRIGHTNESS), 1.0 + about(SATURATION), 1.0 + about(CONTRAST));
        let (flip_x, flip_y) =
            (1.0 - 2.0 * f64::from(stream.coin()), 1.0 - 2.0 * f64::from(stream.coin()));
        let (sin, cos) = (zoom * libm::sin(angle), zoom * libm::cos(angle));
        let cut = (CUT * side).round() as usize;
        let (top, left) = (stream.below(size), stream.below(size));
        View {
            map: [flip_x * cos, -sin, dx, sin, flip_y * cos, dy].map(|v| v as f32),
            colour: Colour {
                brightness: brightness as f32,
                saturation: saturation as f32,
                contrast: contrast as f32,
            },
            cut: Rectangle { top, left, height: cut, width: cut },
        }
    }

    /// All of `images` [batch, 3*height*width] seen this way; the gradient goes through.
    pub fn of<D: Device + 'static>(
        &self,
        tape: &Tape<D>,
        images: &Var<D>,
        size: ImageSize,
    ) -> Var<D> {
        let moved = tape.warp(images, size, &vec![self.map; size.batch]);
        let coloured = tape.colour(&moved, size, &vec![self.colour; size.batch]);
        tape.cutout(&coloured, size, &vec![self.cut; size.batch])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::cpu::Cpu;
    use crate::tape::Tensor;

    #[test]
    fn views_differ_repeat_and_the_plain_one_changes_nothing() {
        let device = Cpu::<f32>::poisoned();
        let size = ImageSize { batch: 2, height: 16, width: 16 };
        let pixels: Vec<f32> = (0..size.values()).map(|i| (i % 101) as f32 / 101.0).collect();
        let see = |view: View| {
            let images = Var::constant(Tensor::new(&device, &pixels, 2, 3 * 256));
            device.download(&view.of(&Tape::new(&device), &images, size).value.buffer).unwrap()
        };
        let plain = see(View::plain());
        assert!(plain.iter().zip(&pixels).all(|(a, b)| (a - b).abs() < 1e-6));
        let first = see(View::draw(1, 0, 16));
        assert_eq!(first, see(View::draw(1, 0, 16)));
        assert!(
            first != see(View::draw(1, 1, 16))
                && first != see(View::draw(2, 0, 16))
                && first != pixels
        );
        assert!(first.iter().all(|v| v.is_finite()));
        // Mirrored twice is as it was.
        for index in 0..4 {
            let images = Var::constant(Tensor::new(&device, &pixels, 2, 3 * 256));
            let tape = Tape::new(&device);
            let once = View::mirrored(index).of(&tape, &images, size);
            let twice = View::mirrored(index).of(&tape, &once, size);
            let download = |v: &Var<_>| device.download(&v.value.buffer).unwrap();
            assert!(
                download(&twice).iter().zip(&pixels).all(|(a, b)| (a - b).abs() < 1e-5),
                "{index}"
            );
            assert_eq!(
                index == 0,
                download(&once).iter().zip(&pixels).all(|(a, b)| (a - b).abs() < 1e-5)
            );
        }
    }
}
