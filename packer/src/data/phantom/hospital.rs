//! What a hospital does to the same tissue: its stains and its scanner.

use medforge_runtime::image::RgbImage8;

use super::sheet::{FIELD, Sheet};
use crate::Error;
use crate::random::Stream;

/// A hospital's stains and scanner.
#[derive(Clone, Debug, PartialEq)]
pub struct Hospital {
    pub name: &'static str,
    /// Optical density of R, G, B for one unit of haematoxylin. The first hospital's densities are
    /// those of Ruifrok and Johnston (2001).
    haematoxylin: [f64; 3],
    /// The same for eosin.
    eosin: [f64; 3],
    /// The light of the lamp in R, G, B, 0..1.
    lamp: [f64; 3],
    /// Standard deviation of the optical blur, in units of the field.
    blur: f64,
    /// The exponent from light to pixel value.
    gamma: f64,
    /// How much of the light a corner loses.
    vignette: f64,
    /// Standard deviation of the sensor noise, in grey levels.
    noise: f64,
}

/// The three hospitals of the demonstration. `a` has textbook colours and a clean scanner; `b` is
/// red, soft and dim at the edges; `c` is pale blue, sharp and noisy.
pub const HOSPITALS: [Hospital; 3] = [
    Hospital {
        name: "a",
        haematoxylin: [0.66, 0.72, 0.32],
        eosin: [0.09, 0.86, 0.32],
        lamp: [0.96, 0.95, 0.96],
        blur: 0.35,
        gamma: 1.0,
        vignette: 0.05,
        noise: 2.5,
    },
    Hospital {
        name: "b",
        haematoxylin: [0.55, 0.80, 0.48],
        eosin: [0.12, 0.95, 0.62],
        lamp: [0.99, 0.93, 0.86],
        blur: 0.80,
        gamma: 0.85,
        vignette: 0.25,
        noise: 4.0,
    },
    Hospital {
        name: "c",
        haematoxylin: [0.85, 0.66, 0.22],
        eosin: [0.26, 0.66, 0.16],
        lamp: [0.90, 0.95, 0.99],
        blur: 0.20,
        gamma: 1.15,
        vignette: 0.12,
        noise: 9.0,
    },
];

impl Hospital {
    /// The hospital called `name`.
    pub fn named(name: &str) -> Option<&'static Hospital> {
        HOSPITALS.iter().find(|h| h.name == name)
    }

    /// Photographs a sheet after both of its stains, haematoxylin and eosin, are made `strength`
    /// times as strong.
    pub(super) fn photograph(
        &self,
        sheet: &Sheet,
        strength: [f64; 2],
        stream: &mut Stream,
    ) -> Result<RgbImage8, Error> {
        let side = sheet.side;
        let mut light = vec![[0f64; 3]; side * side];
        for (at, pixel) in light.iter_mut().enumerate() {
            let (h, e) = (strength[0] * sheet.haematoxylin[at], strength[1] * sheet.eosin[at]);
            *pixel = std::array::from_fn(|c| {
                let density = h * self.haematoxylin[c] + e * self.eosin[c];
                self.lamp[c] * libm::exp(-std::f64::consts::LN_10 * density)
            });
        }
        blur(&mut light, side, self.blur * side as f64 / FIELD);
        let centre = [stream.range(0.4, 0.6), stream.range(0.4, 0.6)].map(|c| c * side as f64);
        let mut bytes = Vec::with_capacity(3 * side * side);
        for (at, pixel) in light.iter().enumerate() {
            let (dx, dy) = ((at % side) as f64 - centre[0], (at / side) as f64 - centre[1]);
            let fall = 1.0 - self.vignette * 2.0 * (dx * dx + dy * dy) / (side * side) as f64;
            for (light, grain) in pixel.iter().zip(noise(stream)) {
                let value =
                    255.0 * libm::pow((light * fall).max(0.0), self.gamma) + self.noise * grain;
                bytes.push((value + 0.5).clamp(0.0, 255.0) as u8);
            }
        }
        Ok(RgbImage8::new(bytes, side as u32, side as u32)?)
    }
}

/// Three values of mean 0 and standard deviation 1, each the sum of four uniform ones.
fn noise(stream: &mut Stream) -> [f64; 3] {
    [(); 3].map(|()| {
        let word = stream.word();
        let sum: u64 = [0, 16, 32, 48].iter().map(|shift| (word >> shift) & 0xffff).sum();
        // Four uniform numbers in 0..1 have the mean 2 and the variance 1/3.
        (sum as f64 / 65536.0 - 2.0) * 1.732_050_807_568_877_2
    })
}

/// A Gaussian blur of standard deviation `sigma` pixels, rows then columns. Beyond the border the
/// last pixel repeats.
fn blur(light: &mut Vec<[f64; 3]>, side: usize, sigma: f64) {
    let reach = (3.0 * sigma).ceil() as usize;
    if reach == 0 {
        return;
    }
    let weight = |d: usize| libm::exp(-0.5 * (d as f64 / sigma) * (d as f64 / sigma));
    let weights: Vec<f64> = (0..=2 * reach).map(|i| weight(i.abs_diff(reach))).collect();
    let total: f64 = weights.iter().sum();
    for step in [1, side] {
        let mut blurred = vec![[0f64; 3]; light.len()];
        for (at, out) in blurred.iter_mut().enumerate() {
            let along = at / step % side;
            let line = at - along * step;
            for (i, weight) in weights.iter().enumerate() {
                let from = (along + i).saturating_sub(reach).min(side - 1);
                for c in 0..3 {
                    out[c] += weight / total * light[line + from * step][c];
                }
            }
        }
        *light = blurred;
    }
}
