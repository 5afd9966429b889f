//! The colours of an image in six numbers.

/// Mean and population standard deviation of R, G, B of one original image, in 0..1. The colour
/// floor sees nothing else.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Colour {
    pub mean: [f64; 3],
    pub sd: [f64; 3],
}

impl Colour {
    /// The statistics of RGB bytes. An empty image has none: zeros.
    pub fn of(rgb: &[u8]) -> Colour {
        let (mut sum, mut square) = ([0u64; 3], [0u64; 3]);
        for pixel in rgb.chunks_exact(3) {
            for c in 0..3 {
                let value = u64::from(pixel[c]);
                sum[c] += value;
                square[c] += value * value;
            }
        }
        let count = (rgb.len() / 3).max(1) as f64;
        let mean = sum.map(|s| s as f64 / count);
        let sd = [0, 1, 2]
            .map(|c| (square[c] as f64 / count - mean[c] * mean[c]).max(0.0).sqrt() / 255.0);
        Colour { mean: mean.map(|m| m / 255.0), sd }
    }

    /// Mean R, G, B, then sd R, G, B.
    pub fn features(&self) -> [f64; 6] {
        let ([r, g, b], [sr, sg, sb]) = (self.mean, self.sd);
        [r, g, b, sr, sg, sb]
    }
}
