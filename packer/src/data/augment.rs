//! Augmentation of training images: flips and colour jitter, drawn anew for each image and epoch.
//!
//! A draw depends on the seed, the epoch and the image alone. So a resumed run sees the same
//! pictures, in any order of work.

use crate::random::{Purpose, Stream};

/// What may happen to a training image. Each flip happens with probability one half. The default is
/// a horizontal flip alone: tissue on a slide has no top, but a chest has.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augment {
    pub flip_horizontal: bool,
    pub flip_vertical: bool,
    /// Brightness, contrast and saturation are each scaled by a factor that is uniform in
    /// [1 - x, 1 + x]. 0 is none, 1 the most.
    pub colour_jitter: f32,
}

impl Default for Augment {
    fn default() -> Self {
        Augment { flip_horizontal: true, flip_vertical: false, colour_jitter: 0.0 }
    }
}

/// Together with the image's index, the address of a draw's random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    pub seed: u64,
    pub epoch: u64,
}

impl Augment {
    /// Changes one image in place: `pixels` are `width` x height RGB bytes, `image` its index.
    pub(super) fn apply(&self, draw: Draw, image: usize, pixels: &mut [u8], width: usize) {
        let mut stream = Stream::at(draw.seed, Purpose::Augment, draw.epoch, image as u64);
        let (horizontal, vertical) = (stream.coin(), stream.coin());
        if horizontal && self.flip_horizontal {
            pixels.chunks_exact_mut(3 * width).for_each(reverse_row);
        }
        if vertical && self.flip_vertical {
            reverse_rows(pixels, 3 * width);
        }
        let strength = f64::from(self.colour_jitter.clamp(0.0, 1.0));
        if strength > 0.0 {
            let factors = [(); 3].map(|()| stream.range(1.0 - strength, 1.0 + strength) as f32);
            jitter(pixels, factors);
        }
    }
}

fn reverse_row(row: &mut [u8]) {
    row.reverse();
    row.chunks_exact_mut(3).for_each(<[u8]>::reverse);
}

fn reverse_rows(pixels: &mut [u8], stride: usize) {
    let half = pixels.len() / stride / 2 * stride;
    let (top, rest) = pixels.split_at_mut(half);
    let bottom = rest.chunks_exact_mut(stride).rev();
    top.chunks_exact_mut(stride).zip(bottom).for_each(|(a, b)| a.swap_with_slice(b));
}

/// Scales brightness about 0, then contrast about the image's mean grey, then saturation about each
/// pixel's grey (ITU-R BT.601 luma).
fn jitter(pixels: &mut [u8], [brightness, contrast, saturation]: [f32; 3]) {
    let grey = |[r, g, b]: [f32; 3]| 0.299 * r + 0.587 * g + 0.114 * b;
    let bright = |pixel: &[u8]| [0, 1, 2].map(|c| (brightness * f32::from(pixel[c])).min(255.0));
    let count = (pixels.len() / 3).max(1) as f64;
    let mean =
        (pixels.chunks_exact(3).map(|p| f64::from(grey(bright(p)))).sum::<f64>() / count) as f32;
    for pixel in pixels.chunks_exact_mut(3) {
        let contrasted = bright(pixel).map(|v| (mean + contrast * (v - mean)).clamp(0.0, 255.0));
        let own = grey(contrasted);
        for (byte, value) in pixel.iter_mut().zip(contrasted) {
            *byte = (own + saturation * (value - own) + 0.5).clamp(0.0, 255.0) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Vec<u8> {
        (0..4 * 3 * 3).map(|i| (i * 7) as u8).collect()
    }

    /// Pixel (y, x) of a picture 4 wide.
    fn at(pixels: &[u8], y: usize, x: usize) -> &[u8] {
        &pixels[(y * 4 + x) * 3..][..3]
    }

    #[test]
    fn each_flip_is_its_mirror_image_and_happens_half_of_the_time() {
        let original = picture();
        let both = Augment { flip_vertical: true, ..Augment::default() };
        let mut seen = [0; 4];
        for image in 0..1000 {
            let mut pixels = original.clone();
            both.apply(Draw { seed: 1, epoch: 2 }, image, &mut pixels, 4);
            let kind = (0..4)
                .find(|kind| {
                    (0..12).all(|i| {
                        let (y, x) = (i / 4, i % 4);
                        let from = (
                            if kind & 2 > 0 { 2 - y } else { y },
                            if kind & 1 > 0 { 3 - x } else { x },
                        );
                        at(&pixels, y, x) == at(&original, from.0, from.1)
                    })
                })
                .expect("every result is one of the four flips");
            seen[kind] += 1;
        }
        // 250 each, five standard deviations of a binomial.
        assert!(seen.iter().all(|&n| (182..=318).contains(&n)), "{seen:?}");
    }

    #[test]
    fn the_same_address_gives_the_same_bytes_and_another_epoch_others() {
        let augment = Augment { colour_jitter: 0.4, ..Augment::default() };
        let run = |epoch| {
            let mut pixels = picture();
            augment.apply(Draw { seed: 5, epoch }, 9, &mut pixels, 4);
            pixels
        };
        assert_eq!(run(3), run(3));
        assert_ne!(run(3), run(4));
    }

    #[test]
    fn jitter_of_one_changes_nothing_and_saturation_zero_is_grey() {
        let mut pixels = picture();
        jitter(&mut pixels, [1.0; 3]);
        assert_eq!(pixels, picture());
        jitter(&mut pixels, [1.0, 1.0, 0.0]);
        assert!(pixels.chunks_exact(3).all(|p| p[0] == p[1] && p[1] == p[2]));
        let mut bright = picture();
        jitter(&mut bright, [2.0, 1.0, 1.0]);
        assert_eq!(at(&bright, 0, 1), [42, 56, 70]);
    }

    #[test]
    fn nothing_asked_for_changes_nothing() {
        let none = Augment { flip_horizontal: false, flip_vertical: false, colour_jitter: 0.0 };
        for image in 0..50 {
            let mut pixels = picture();
            none.apply(Draw { seed: 0, epoch: 0 }, image, &mut pixels, 4);
            assert_eq!(pixels, picture());
        }
    }
}
