//! Position tables for other image sizes: bicubic interpolation as
//! `torch.nn.functional.interpolate` does it, with half-pixel centres, either way that bases were
//! made with. The class token's row stays as it is; registers have none.

use medforge_runtime::vit::Shape;

use super::vit_config::{Interpolation, VitConfig};

/// Rows of the table of a network: one for the class token, if it has one, and one for each patch.
pub fn rows(shape: &Shape) -> usize {
    usize::from(shape.class_token) + shape.patches().len()
}

/// The matrix [rows for `size`, the table's rows], row-major, that takes the table of a base to
/// images of `size` pixels.
pub fn matrix(config: &VitConfig, size: usize) -> Vec<f32> {
    let (from, to) = (config.shape(config.image_size), config.shape(size));
    let (columns, first) = (rows(&from), usize::from(from.class_token));
    let mut out = vec![0.0; rows(&to) * columns];
    for row in 0..first {
        out[row * columns + row] = 1.0;
    }
    let taps = Taps::new(config.interpolation, &from, &to);
    for (patch, row) in out.chunks_exact_mut(columns).skip(first).enumerate() {
        for (source, weight) in taps.of(patch) {
            row[first + source] += weight as f32;
        }
    }
    out
}

/// A base's position table [rows, columns] for images of `size` pixels.
pub fn interpolate(config: &VitConfig, table: &[f32], size: usize) -> Vec<f32> {
    let (from, to) = (config.shape(config.image_size), config.shape(size));
    if from.grid == to.grid {
        return table.to_vec();
    }
    let columns = table.len() / rows(&from);
    let (leading, patches) = table.split_at(usize::from(from.class_token) * columns);
    let mut out = leading.to_vec();
    let taps = Taps::new(config.interpolation, &from, &to);
    for patch in 0..to.patches().len() {
        let mut sum = vec![0.0f64; columns];
        for (source, weight) in taps.of(patch) {
            for (sum, value) in sum.iter_mut().zip(&patches[source * columns..]) {
                *sum += weight * f64::from(*value);
            }
        }
        out.extend(sum.into_iter().map(|v| v as f32));
    }
    out
}

/// What each row and each column of one grid is made of in another.
struct Taps {
    from: usize,
    /// By index along a side: source indices and their weights.
    along: Vec<Vec<(usize, f64)>>,
}

impl Taps {
    fn new(interpolation: Interpolation, from: &Shape, to: &Shape) -> Self {
        let (from, to) = (from.grid, to.grid);
        let of = |i| match interpolation {
            Interpolation::Plain => plain(i, from, to),
            Interpolation::Antialias => antialiased(i, from, to),
        };
        Taps { from, along: (0..to).map(of).collect() }
    }

    /// The patches that a patch is made of, with their weights.
    fn of(&self, patch: usize) -> impl Iterator<Item = (usize, f64)> {
        let to = self.along.len();
        let (down, across) = (&self.along[patch / to], &self.along[patch % to]);
        down.iter().flat_map(move |(y, weight_y)| {
            across.iter().map(move |(x, weight_x)| (y * self.from + x, weight_y * weight_x))
        })
    }
}

/// The four source indices and weights for output index `i`; edges are repeated.
fn plain(i: usize, from: usize, to: usize) -> Vec<(usize, f64)> {
    let centre = (i as f64 + 0.5) * from as f64 / to as f64 - 0.5;
    let first = centre.floor();
    let tap = |offset| {
        let at: f64 = first + offset;
        (at.clamp(0.0, from as f64 - 1.0) as usize, cubic(centre - at, -0.75))
    };
    [-1.0, 0.0, 1.0, 2.0].map(tap).into()
}

/// The source indices and weights for output index `i` with `antialias=True`: the kernel is wider
/// by as much as the table shrinks, and what lies beyond the edges does not count.
fn antialiased(i: usize, from: usize, to: usize) -> Vec<(usize, f64)> {
    let scale = from as f64 / to as f64;
    let centre = scale * (i as f64 + 0.5);
    let stretch = scale.max(1.0);
    let reach = 2.0 * stretch;
    let first = (centre - reach + 0.5).max(0.0) as usize;
    let end = ((centre + reach + 0.5) as usize).min(from);
    let weight = |at: usize| cubic((at as f64 + 0.5 - centre) / stretch, -0.5);
    let sum: f64 = (first..end).map(weight).sum();
    (first..end).map(|at| (at, weight(at) / sum)).collect()
}

/// Keys' cubic convolution kernel with the slope `a` at 1.
fn cubic(distance: f64, a: f64) -> f64 {
    let x = distance.abs();
    if x <= 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAYS: [Interpolation; 2] = [Interpolation::Plain, Interpolation::Antialias];

    /// A base with `grid` patches on a side, of one pixel each.
    fn config(grid: usize, interpolation: Interpolation) -> VitConfig {
        VitConfig { patch: 1, image_size: grid, heads: 1, interpolation, ..VitConfig::PLAIN }
    }

    #[test]
    fn every_row_sums_to_one() {
        for (from, to) in [(37, 8), (4, 7), (1, 3), (3, 1), (5, 5)] {
            for way in WAYS {
                let (config, columns) = (config(from, way), from * from + 1);
                for (i, row) in matrix(&config, to).chunks_exact(columns).enumerate() {
                    let sum: f32 = row.iter().sum();
                    assert!((sum - 1.0).abs() < 1e-5, "{from} to {to}, row {i}: {sum}");
                }
            }
        }
    }

    #[test]
    fn the_matrix_and_the_taps_agree() {
        let columns = 3;
        for no_class_token in [false, true] {
            for way in WAYS {
                let config = VitConfig { no_class_token, registers: 2, ..config(5, way) };
                let count = rows(&config.shape(5));
                let table: Vec<f32> =
                    (0..count * columns).map(|i| (i as f32 * 0.7).sin()).collect();
                let taps = interpolate(&config, &table, 7);
                for (i, row) in matrix(&config, 7).chunks_exact(count).enumerate() {
                    for c in 0..columns {
                        let product: f32 =
                            row.iter().enumerate().map(|(j, w)| w * table[j * columns + c]).sum();
                        assert!((product - taps[i * columns + c]).abs() < 1e-5, "row {i}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_same_size_is_the_same_table() {
        let table: Vec<f32> = (0..34).map(|i| i as f32 * 0.37).collect();
        for way in WAYS {
            assert_eq!(interpolate(&config(4, way), &table, 4), table);
            let identity = matrix(&config(4, way), 4);
            let ones = |(i, row): (usize, &[f32])| row[i] == 1.0 && row.iter().sum::<f32>() == 1.0;
            assert!(identity.chunks_exact(17).enumerate().all(ones));
        }
    }

    /// What torch 2.15 gives for `interpolate(..., mode="bicubic", antialias=True)` in f64.
    #[test]
    fn antialiased_tables_are_those_of_torch() {
        let smaller = [
            0.346788596,
            0.487617499,
            0.600946746,
            0.298721743,
            0.461696249,
            0.507744349,
            0.489768693,
            0.380029273,
            0.350790748,
        ];
        let larger = [
            -0.122334056,
            0.197345178,
            0.6432247,
            0.439005658,
            0.252144082,
            0.301374773,
            0.439392252,
            0.608548168,
            0.38524474,
            0.217467551,
            0.936535163,
            0.797829037,
            0.545454545,
            0.293080054,
            0.154373928,
            0.921596989,
            0.763806476,
            0.482360923,
            0.227981531,
            0.091280305,
            0.838765009,
            0.700058882,
            0.447684391,
            0.1953099,
            0.056603774,
        ];
        let much_smaller = [0.44294503, 0.447118807, 0.464187401, 0.454630416];
        let cases: [(usize, usize, &[f64]); 3] =
            [(5, 3, &smaller), (3, 5, &larger), (7, 2, &much_smaller)];
        for (from, to, expected) in cases {
            let base = config(from, Interpolation::Antialias);
            let base = VitConfig { no_class_token: true, ..base };
            let table: Vec<f32> = (0..from * from).map(|i| (i * 7 % 11) as f32 / 11.0).collect();
            let found = interpolate(&base, &table, to);
            assert_eq!(found.len(), expected.len());
            for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
                let apart = (f64::from(*found) - expected).abs();
                assert!(apart < 1e-6, "{from} to {to}, {i}: {found}");
            }
        }
    }
}
