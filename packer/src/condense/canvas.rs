//! The synthetic images' parametrisation: cosine coefficients in units of the real images'
//! spectrum, colours in the real images' own axes, values within bounds; and noise to start from,
//! about the mean picture of a class.
//!
//! A coefficient counts by what its frequency has in the real images (1/f, as natural images have,
//! where these may not be read), so that a step of gradient descent changes what is smooth before
//! what is fine; colours lie within 2.5 standard deviations of the mean along each principal axis.
//! Without both, pixels learn what one network sees (Olah et al. 2017, "Feature Visualization",
//! preconditioning).

use ndarray::{Array2, ArrayView2, ArrayViewMut2};
use rayon::prelude::*;

use crate::random::{Purpose, Stream};

/// Standard deviations that a colour reaches at most, along each axis.
const BOUND: f32 = 2.5;

/// Mean and axes of colours, RGB in 0..1: a colour is mean + axes * c with c of mean 0 and standard
/// deviation 1.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Palette {
    pub mean: [f32; 3],
    /// By row: R, G, B.
    pub axes: [[f32; 3]; 3],
}

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

impl Palette {
    /// What natural images have about a base's own mean: brightness, blue against yellow and green
    /// against magenta, with standard deviations of .25, .06 and .03. Nothing of a contributor's
    /// data is in it.
    pub fn neutral(mean: [f64; 3]) -> Palette {
        let (light, blue, green) = (0.25, 0.06, 0.03);
        Palette {
            mean: mean.map(|m| m as f32),
            axes: [[light, -blue, -green], [light, 0.0, 2.0 * green], [light, blue, -green]],
        }
    }

    /// Mean and axes of RGB bytes: the lower Cholesky factor of the colours' covariance, its
    /// diagonal at least 1/255.
    pub fn of<'a>(images: impl Iterator<Item = &'a [u8]>) -> Palette {
        let (mut count, mut sum, mut square) = (0u64, [0u64; 3], [[0u64; 3]; 3]);
        for pixel in images.flat_map(|image| image.chunks_exact(3)) {
            count += 1;
            for i in 0..3 {
                sum[i] += u64::from(pixel[i]);
                for j in 0..=i {
                    square[i][j] += u64::from(pixel[i]) * u64::from(pixel[j]);
                }
            }
        }
        let n = count.max(1) as f64;
        let mean = sum.map(|s| s as f64 / n / 255.0);
        let mut axes = [[0f64; 3]; 3];
        for i in 0..3 {
            for j in 0..=i {
                let covariance = square[i][j] as f64 / n / 65_025.0 - mean[i] * mean[j];
                let known: f64 = (0..j).map(|k| axes[i][k] * axes[j][k]).sum();
                axes[i][j] = if i == j {
                    (covariance - known).max(0.0).sqrt().max(1.0 / 255.0)
                } else {
                    (covariance - known) / axes[j][j]
                };
            }
        }
        Palette { mean: mean.map(|m| m as f32), axes: axes.map(|row| row.map(|v| v as f32)) }
    }
}

impl Canvas {
    /// A canvas that knows a palette and no image: amplitudes of 1/f, noise about the mean colour.
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
        let inverse = inverse(&palette.axes);
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
    /// RGB bytes with its class: of each axis, how far coefficients of one frequency lie from their
    /// class's mean.
    pub fn of(size: usize, images: &[(&[u8], usize)]) -> Canvas {
        let mut canvas = Canvas::new(size, Palette::of(images.iter().map(|(rgb, _)| *rgb)));
        let each = canvas.values();
        let classes = images.iter().map(|(_, class)| class + 1).max().unwrap_or(0);
        let mut sums = vec![vec![0f64; each]; classes];
        let mut counts = vec![0f64; classes];
        let mut squares = vec![0f64; each];
        for part in images.chunks(32) {
            let rows: Vec<Vec<f32>> =
                part.par_iter().map(|(rgb, _)| canvas.coefficients(&planar(rgb))).collect();
            for ((_, class), row) in part.iter().zip(rows) {
                counts[*class] += 1.0;
                for (j, v) in row.into_iter().enumerate() {
                    sums[*class][j] += f64::from(v);
                    squares[j] += f64::from(v).powi(2);
                }
            }
        }
        let means: Vec<Vec<f64>> = sums
            .iter()
            .zip(&counts)
            .map(|(sum, n)| sum.iter().map(|s| s / n.max(1.0)).collect())
            .collect();
        let within = |j: usize| {
            let explained: f64 =
                means.iter().zip(&counts).map(|(mean, n)| n * mean[j] * mean[j]).sum();
            (squares[j] - explained).max(0.0) / images.len().max(1) as f64
        };
        let pixels = size * size;
        let scales: Vec<f32> =
            (0..3).flat_map(|axis| by_frequency(size, |i| within(axis * pixels + i))).collect();
        for (axis, amplitude) in canvas.amplitude.iter_mut().enumerate() {
            amplitude.iter_mut().zip(&scales[axis * pixels..]).for_each(|(a, s)| *a *= s);
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

    /// The gradient to the coefficients from that to the images. Where a colour was cut off at 0 or
    /// 1 its gradient is none, unless following it down would bring the colour back.
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
                    let (value, slope) = (self.colour(k, c), gradient[k * pixels + i]);
                    let stuck = (value < 0.0 && slope > 0.0) || (value > 1.0 && slope < 0.0);
                    for j in 0..3 {
                        let inner = 1.0 - (c[j] / BOUND).powi(2);
                        out[j * pixels + i] +=
                            if stuck { 0.0 } else { slope * self.palette.axes[k][j] * inner };
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

    fn colour(&self, k: usize, c: [f32; 3]) -> f32 {
        let [x, y, z] = self.palette.axes[k];
        self.palette.mean[k] + x * c[0] + y * c[1] + z * c[2]
    }
}

/// Height x width x RGB bytes as [3, height, width] in 0..1.
pub fn planar(rgb: &[u8]) -> Vec<f32> {
    (0..3).flat_map(|c| rgb.iter().skip(c).step_by(3).map(|v| f32::from(*v) / 255.0)).collect()
}

/// For each of size x size frequencies the root of the mean of `square` over all that are as far
/// from zero, to the next whole number; never less than a thousandth of the largest.
fn by_frequency(size: usize, square: impl Fn(usize) -> f64) -> Vec<f32> {
    let ring = |i: usize| libm::hypot((i / size) as f64, (i % size) as f64).round() as usize;
    let mut rings = vec![(0.0, 0.0); 2 * size];
    for i in 0..size * size {
        let (sum, n) = &mut rings[ring(i)];
        (*sum, *n) = (*sum + square(i), *n + 1.0);
    }
    let roots: Vec<f64> = rings.iter().map(|(sum, n)| (sum / f64::max(*n, 1.0)).sqrt()).collect();
    let least = 1e-3 * roots.iter().copied().fold(1e-6, f64::max);
    (0..size * size).map(|i| roots[ring(i)].max(least) as f32).collect()
}

fn bounded(u: f32) -> f32 {
    BOUND * (u / BOUND).tanh()
}

/// The inverse of a 3 x 3 matrix, by its adjugate.
fn inverse(m: &[[f32; 3]; 3]) -> [[f32; 3]; 3] {
    let m = m.map(|row| row.map(f64::from));
    let minor = |i: usize, j: usize| {
        let (r, s) = ((i + 1) % 3, (i + 2) % 3);
        let (c, d) = ((j + 1) % 3, (j + 2) % 3);
        m[r][c] * m[s][d] - m[r][d] * m[s][c]
    };
    let determinant: f64 = (0..3).map(|j| m[0][j] * minor(0, j)).sum();
    [0, 1, 2].map(|i| [0, 1, 2].map(|j| (minor(j, i) / determinant) as f32))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn palette() -> Palette {
        Palette {
            mean: [0.5, 0.4, 0.6],
            axes: [[0.1, 0.0, 0.0], [0.05, 0.08, 0.0], [0.02, -0.03, 0.06]],
        }
    }

    #[test]
    fn the_palette_of_pixels_is_their_mean_and_covariance() {
        let pixels: Vec<u8> =
            (0..3000u32).map(|i| (100 + (i * 37 + i / 3 * 11) % 90) as u8).collect();
        let palette = Palette::of([&pixels[..1500], &pixels[1500..]].into_iter());
        let at = |i: usize, c: usize| f64::from(pixels[3 * i + c]) / 255.0;
        for c in 0..3 {
            let mean = (0..1000).map(|i| at(i, c)).sum::<f64>() / 1000.0;
            assert!((mean - f64::from(palette.mean[c])).abs() < 1e-6);
            for d in 0..3 {
                let own = (0..1000).map(|i| at(i, d)).sum::<f64>() / 1000.0;
                let covariance =
                    (0..1000).map(|i| (at(i, c) - mean) * (at(i, d) - own)).sum::<f64>() / 1000.0;
                let product: f32 = (0..3).map(|k| palette.axes[c][k] * palette.axes[d][k]).sum();
                assert!((covariance - f64::from(product)).abs() < 1e-6, "{c} {d}");
            }
        }
    }

    #[test]
    fn noise_has_the_palettes_spread() {
        let canvas = Canvas::new(
            32,
            Palette { mean: [0.5; 3], axes: [[0.1, 0.0, 0.0], [0.0, 0.1, 0.0], [0.0, 0.0, 0.1]] },
        );
        let z: Vec<f32> = (0..40).flat_map(|i| canvas.noise(5, i, 0)).collect();
        let images = canvas.paint(&z);
        let mean = images.iter().sum::<f32>() / images.len() as f32;
        let variance = images.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / images.len() as f32;
        assert!(
            (mean - 0.5).abs() < 0.02 && (variance.sqrt() - 0.09).abs() < 0.015,
            "{mean} {}",
            variance.sqrt()
        );
    }

    /// Noise about the class means, with the spectrum of the images it was told of.
    #[test]
    fn a_canvas_of_images_draws_noise_like_them() {
        let size = 16;
        // Stripes of one frequency and random strength on a grey that the class decides.
        let image = |i: usize| -> Vec<u8> {
            let strength = Stream::at(3, Purpose::Noise, i as u64, 7).normal() * 20.0;
            let level = if i.is_multiple_of(2) { 90.0 } else { 150.0 };
            let at = |p: usize| {
                level
                    + strength
                        * (std::f64::consts::PI * ((p % size) as f64 + 0.5) * 4.0 / 16.0).cos()
            };
            (0..size * size).flat_map(|p| [at(p).round() as u8; 3]).collect()
        };
        let images: Vec<Vec<u8>> = (0..60).map(image).collect();
        let canvas = Canvas::of(
            size,
            &images.iter().enumerate().map(|(i, rgb)| (&rgb[..], i % 2)).collect::<Vec<_>>(),
        );
        for class in 0..2 {
            let drawn: Vec<Vec<f32>> =
                (0..50).map(|i| canvas.paint(&canvas.noise(1, i, class))).collect();
            let mean = drawn.concat().iter().sum::<f32>() / (50.0 * 768.0);
            let expected = if class == 0 { 90.0 } else { 150.0 } / 255.0;
            assert!((mean - expected).abs() < 0.02, "{mean} {expected}");
            // Neighbours within half a stripe are alike; with white noise they would not be.
            let apart: f32 = drawn
                .iter()
                .map(|x| (0..255).map(|p| (x[p] - x[p + 1]).powi(2)).sum::<f32>())
                .sum();
            let spread: f32 = drawn
                .iter()
                .map(|x| x[..256].iter().map(|v| (v - mean).powi(2)).sum::<f32>())
                .sum();
            assert!(apart < spread, "{apart} {spread}");
        }
    }

    #[test]
    fn an_image_within_bounds_survives_the_round_trip() {
        let canvas = Canvas::new(8, palette());
        let image: Vec<f32> =
            (0..192).map(|i| [0.5, 0.4, 0.6][i / 64] + 0.0006 * (i % 64) as f32).collect();
        for (a, b) in canvas.paint(&canvas.coefficients(&image)).iter().zip(&image) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }

    #[test]
    fn pull_back_is_the_gradient_of_paint() {
        let canvas = Canvas::new(4, palette());
        let z = canvas.noise(1, 0, 0);
        let weights: Vec<f32> = (0..48).map(|i| ((i * 7) % 11) as f32 / 5.0 - 1.0).collect();
        let loss = |z: &[f32]| {
            canvas.paint(z).iter().zip(&weights).map(|(a, w)| f64::from(a * w)).sum::<f64>()
        };
        let gradient = canvas.pull_back(&z, &weights);
        for i in 0..48 {
            let shifted = |by: f32| {
                let mut z = z.clone();
                z[i] += by;
                loss(&z)
            };
            let difference = (shifted(1e-2) - shifted(-1e-2)) / 2e-2;
            assert!(
                (f64::from(gradient[i]) - difference).abs() < 2e-3,
                "{i}: {} {difference}",
                gradient[i]
            );
        }
    }
}
