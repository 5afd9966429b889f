//! The colours of synthetic images: a mean, and the axes along which colours lie about it.

/// Mean and axes of colours, RGB in 0..1: a colour is mean + axes * c with c of mean 0 and standard
/// deviation 1.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Palette {
    pub mean: [f32; 3],
    /// By row: R, G, B.
    pub axes: [[f32; 3]; 3],
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

    /// The inverse of the axes, by the adjugate.
    pub fn inverse(&self) -> [[f32; 3]; 3] {
        let m = self.axes.map(|row| row.map(f64::from));
        let minor = |i: usize, j: usize| {
            let (r, s) = ((i + 1) % 3, (i + 2) % 3);
            let (c, d) = ((j + 1) % 3, (j + 2) % 3);
            m[r][c] * m[s][d] - m[r][d] * m[s][c]
        };
        let determinant: f64 = (0..3).map(|j| m[0][j] * minor(0, j)).sum();
        [0, 1, 2].map(|i| [0, 1, 2].map(|j| (minor(j, i) / determinant) as f32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
