//! The synthetic images' parametrisation: cosine coefficients in units of the real images'
//! spectrum, and colours in the real images' own axes. Also the noise that images start from, about
//! the mean picture of a class.
//!
//! A coefficient counts by what its frequency has in the real images; where these may not be read,
//! by 1/f, as in natural images. So a step of gradient descent changes what is smooth before what
//! is fine. Colours lie within 2.5 standard deviations of the mean along each principal axis.
//! Without both, pixels learn what one network sees (Olah et al. 2017, "Feature Visualization",
//! preconditioning).

use ndarray::{Array2, ArrayView2, ArrayViewMut2};
use rayon::prelude::*;

use crate::random::{Purpose, Stream};

use super::palette::Palette;
use super::pixels::planar;
use super::spectrum::Spectrum;

/// Standard deviations that a colour reaches at most, along each axis.
const BOUND: f32 = 2.5;

/// Turns coefficients [n, 3, size, size] into images [n, 3, size, size] of RGB in 0..1, and
/// gradients back.
pub struct Canvas {
    size: usize,
    /// The orthonormal DCT-II: row f is the cosine of frequency f.
    basis: Array2<f32>,
    /// By axis.
    amplitude: [Array2<f32>; 3],
    palette: Palette,
    /// The inverse of the axes, for [`Canvas::coefficients`].
    inverse: [[f32; 3]; 3],
    /// By class, the coefficients of the mean picture; empty where real images may not be read.
    centres: Vec<Vec<f32>>,
}

impl Canvas {
    /// A canvas of a palette alone: amplitudes of 1/f, noise about the mean colour.
    pub fn new(size: usize, palette: Palette) -> Canvas {
        let n = size as f64;
        let basis = Array2::from_shape_fn((size, size), |(f, x)| {
            let scale = if f == 0 { 1.0 / n } else { 2.0 / n };
            let angle = std::f64::consts::PI * (x as f64 + 0.5) * f as f64 / n;
            (libm::sqrt(scale) * libm::cos(angle)) as f32
        });
        let mut amplitude = Array2::from_shape_fn((size, size), |(i, j)| {
            1.0 / libm::hypot(i as f64, j as f64).max(1.0) as f32
        });
        // Coefficients of standard deviation 1 make pixels of standard deviation 1.
        let power: f64 = amplitude.iter().map(|a| f64::from(*a).powi(2)).sum();
        amplitude *= (n * n / power).sqrt() as f32;
        let inverse = palette.inverse();
        Canvas {
            size,
            basis,
            amplitude: [(); 3].map(|()| amplitude.clone()),
            palette,
            inverse,
            centres: vec![],
        }
    }

    /// A canvas of the palette, the spectrum and the class means of `images`, each size x size x
    /// RGB bytes with its class.
    pub fn of(size: usize, images: &[(&[u8], usize)]) -> Canvas {
        let mut canvas = Canvas::new(size, Palette::of(images.iter().map(|(rgb, _)| *rgb)));
        let Spectrum { means, scales } =
            Spectrum::of(size, images, |rgb| canvas.coefficients(&planar(rgb)));
        for (axis, amplitude) in canvas.amplitude.iter_mut().enumerate() {
            amplitude.iter_mut().zip(&scales[axis * size * size..]).for_each(|(a, s)| *a *= s);
        }
        let scaled =
            |mean: &Vec<f64>| mean.iter().zip(&scales).map(|(m, s)| *m as f32 / s).collect();
        canvas.centres = means.iter().map(scaled).collect();
        canvas
    }

    /// Values of one image.
    pub fn values(&self) -> usize {
        3 * self.size * self.size
    }

    /// Random coefficients for image `index`, about the mean picture of `class` if the canvas knows
    /// one.
    pub fn noise(&self, seed: u64, index: usize, class: usize) -> Vec<f32> {
        let mut stream = Stream::at(seed, Purpose::Noise, index as u64, 0);
        let centre = |j: usize| self.centres.get(class).map_or(0.0, |centre| centre[j]);
        (0..self.values()).map(|j| centre(j) + stream.normal() as f32).collect()
    }

    /// The images of coefficients.
    pub fn paint(&self, coefficients: &[f32]) -> Vec<f32> {
        let mut images = vec![0.0; coefficients.len()];
        let jobs = images.par_chunks_mut(self.values()).zip(coefficients.par_chunks(self.values()));
        jobs.for_each(|(image, z)| {
            let planes = self.planes(z);
            let pixels = self.size * self.size;
            for i in 0..pixels {
                let c = [0, 1, 2].map(|k| bounded(planes[k * pixels + i]));
                for k in 0..3 {
                    image[k * pixels + i] = self.colour(k, c).clamp(0.0, 1.0);
                }
            }
        });
        images
    }

    /// The gradient to the coefficients from that to the images. A colour that was cut off at 0 or
    /// 1 has no gradient, unless a step against it would bring the colour back.
    pub fn pull_back(&self, coefficients: &[f32], gradient: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; coefficients.len()];
        let each = self.values();
        let jobs = out
            .par_chunks_mut(each)
            .zip(coefficients.par_chunks(each))
            .zip(gradient.par_chunks(each));
        jobs.for_each(|((out, z), gradient)| {
            let planes = self.planes(z);
            let pixels = self.size * self.size;
            for i in 0..pixels {
                let c = [0, 1, 2].map(|k| bounded(planes[k * pixels + i]));
                for k in 0..3 {
                    let (value, to_value) = (self.colour(k, c), gradient[k * pixels + i]);
                    let stuck = (value < 0.0 && to_value > 0.0) || (value > 1.0 && to_value < 0.0);
                    for j in 0..3 {
                        let inner = 1.0 - (c[j] / BOUND).powi(2);
                        out[j * pixels + i] +=
                            if stuck { 0.0 } else { to_value * self.palette.axes[k][j] * inner };
                    }
                }
            }
            for (plane, amplitude) in out.chunks_exact_mut(pixels).zip(&self.amplitude) {
                let mut plane = ArrayViewMut2::from_shape((self.size, self.size), plane)
                    .expect("a square plane");
                let spectrum = self.basis.dot(&plane).dot(&self.basis.t()) * amplitude;
                plane.assign(&spectrum);
            }
        });
        out
    }

    /// Coefficients whose image is `image` [3, size, size], as near as the bounds allow.
    pub fn coefficients(&self, image: &[f32]) -> Vec<f32> {
        let pixels = self.size * self.size;
        let mut planes = vec![0.0; 3 * pixels];
        for i in 0..pixels {
            let off = [0, 1, 2].map(|k| image[k * pixels + i] - self.palette.mean[k]);
            for j in 0..3 {
                let c: f32 = (0..3).map(|k| self.inverse[j][k] * off[k]).sum();
                planes[j * pixels + i] = BOUND * (c / BOUND).clamp(-0.99, 0.99).atanh();
            }
        }
        for (plane, amplitude) in planes.chunks_exact_mut(pixels).zip(&self.amplitude) {
            let mut plane =
                ArrayViewMut2::from_shape((self.size, self.size), plane).expect("a square plane");
            let spectrum = self.basis.dot(&plane).dot(&self.basis.t()) / amplitude;
            plane.assign(&spectrum);
        }
        planes
    }

    /// Colours in units of the axes, before they are bounded.
    fn planes(&self, z: &[f32]) -> Vec<f32> {
        let pixels = self.size * self.size;
        let plane = |(z, amplitude): (&[f32], &Array2<f32>)| {
            let z = ArrayView2::from_shape((self.size, self.size), z).expect("a square plane");
            self.basis.t().dot(&(&z * amplitude)).dot(&self.basis).into_raw_vec_and_offset().0
        };
        z.chunks_exact(pixels).zip(&self.amplitude).flat_map(plane).collect()
    }

    /// Channel `k` of a colour given along the axes.
    fn colour(&self, k: usize, c: [f32; 3]) -> f32 {
        let [x, y, z] = self.palette.axes[k];
        self.palette.mean[k] + x * c[0] + y * c[1] + z * c[2]
    }
}

/// `u` within [`BOUND`] either way.
fn bounded(u: f32) -> f32 {
    BOUND * (u / BOUND).tanh()
}

#[cfg(test)]
mod tests;
