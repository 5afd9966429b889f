//! Position tables for other image sizes: bicubic interpolation as transformers does it
//! (`torch.nn.functional.interpolate`, a = -0.75, half-pixel centres, edges repeated, no
//! antialias). The rows of tokens before the patches stay as they are.

use medforge_runtime::vit::Shape;

/// The matrix [to's tokens, from's tokens], row-major, that takes a position table of one size of
/// images to another.
pub fn matrix(from: &Shape, to: &Shape) -> Vec<f32> {
    let (columns, first) = (from.tokens(), from.patches().start);
    let mut out = vec![0.0; to.tokens() * columns];
    for row in 0..first {
        out[row * columns + row] = 1.0;
    }
    let rows = out.chunks_exact_mut(columns).skip(to.patches().start);
    for (patch, row) in rows.enumerate() {
        for (source, weight) in sources(patch, from, to) {
            row[first + source] += weight as f32;
        }
    }
    out
}

/// A position table [from's tokens, columns] for another size of images.
pub fn interpolate(table: &[f32], from: &Shape, to: &Shape) -> Vec<f32> {
    if from.grid == to.grid {
        return table.to_vec();
    }
    let columns = table.len() / from.tokens();
    let (leading, patches) = table.split_at(from.patches().start * columns);
    let mut out = leading.to_vec();
    for patch in 0..to.patches().len() {
        let mut sum = vec![0.0f64; columns];
        for (source, weight) in sources(patch, from, to) {
            for (sum, value) in sum.iter_mut().zip(&patches[source * columns..]) {
                *sum += weight * f64::from(*value);
            }
        }
        out.extend(sum.into_iter().map(|v| v as f32));
    }
    out
}

/// The patches of `from` that a patch of `to` is made of, with their weights.
fn sources(patch: usize, from: &Shape, to: &Shape) -> impl Iterator<Item = (usize, f64)> {
    let [down, across] = [patch / to.grid, patch % to.grid].map(|i| taps(i, from.grid, to.grid));
    let grid = from.grid;
    down.into_iter().flat_map(move |(y, weight_y)| {
        across.into_iter().map(move |(x, weight_x)| (y * grid + x, weight_y * weight_x))
    })
}

/// The four source indices and weights for output index `i`.
fn taps(i: usize, from: usize, to: usize) -> [(usize, f64); 4] {
    let centre = (i as f64 + 0.5) * from as f64 / to as f64 - 0.5;
    let first = centre.floor();
    [-1.0, 0.0, 1.0, 2.0].map(|offset| {
        let at = first + offset;
        (at.clamp(0.0, from as f64 - 1.0) as usize, cubic(centre - at))
    })
}

/// Keys' cubic convolution kernel with a = -0.75.
fn cubic(distance: f64) -> f64 {
    const A: f64 = -0.75;
    let x = distance.abs();
    if x <= 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::vit_config::VitConfig;
    use super::*;

    /// A network with `grid` patches on a side.
    fn shape(grid: usize) -> Shape {
        VitConfig { patch: 1, ..VitConfig::PLAIN }.shape(grid)
    }

    #[test]
    fn every_row_sums_to_one() {
        for (from, to) in [(37, 8), (4, 7), (1, 3), (5, 5)] {
            let matrix = matrix(&shape(from), &shape(to));
            for (i, row) in matrix.chunks_exact(shape(from).tokens()).enumerate() {
                let sum: f32 = row.iter().sum();
                assert!((sum - 1.0).abs() < 1e-5, "{from} to {to}, row {i}: {sum}");
            }
        }
    }

    #[test]
    fn the_matrix_and_the_taps_agree() {
        let (from, to, columns) = (shape(5), shape(7), 3);
        let table: Vec<f32> =
            (0..from.tokens() * columns).map(|i| (i as f32 * 0.7).sin()).collect();
        let taps = interpolate(&table, &from, &to);
        for (i, row) in matrix(&from, &to).chunks_exact(from.tokens()).enumerate() {
            for c in 0..columns {
                let product: f32 =
                    row.iter().enumerate().map(|(j, w)| w * table[j * columns + c]).sum();
                assert!((product - taps[i * columns + c]).abs() < 1e-5, "row {i}");
            }
        }
    }

    #[test]
    fn the_same_size_is_the_same_table() {
        let table: Vec<f32> = (0..34).map(|i| i as f32 * 0.37).collect();
        assert_eq!(interpolate(&table, &shape(4), &shape(4)), table);
        let identity = matrix(&shape(4), &shape(4));
        assert!(
            identity
                .chunks_exact(17)
                .enumerate()
                .all(|(i, row)| row[i] == 1.0 && row.iter().sum::<f32>() == 1.0)
        );
    }
}
