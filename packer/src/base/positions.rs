//! Position tables for other image sizes: bicubic interpolation as transformers does it
//! (`torch.nn.functional.interpolate`, a = -0.75, half-pixel centres, edges repeated, no
//! antialias). The CLS token's row stays as it is.

/// The matrix [1 + to*to, 1 + from*from], row-major, that takes a table of a `from` x `from` grid
/// to a `to` x `to` grid.
pub fn matrix(from: usize, to: usize) -> Vec<f32> {
    let columns = 1 + from * from;
    let mut out = vec![0.0; (1 + to * to) * columns];
    out[0] = 1.0;
    let taps: Vec<[(usize, f64); 4]> = (0..to).map(|i| taps(i, from, to)).collect();
    for y in 0..to {
        for x in 0..to {
            let row = &mut out[(1 + y * to + x) * columns..][..columns];
            for (from_y, weight_y) in taps[y] {
                for (from_x, weight_x) in taps[x] {
                    row[1 + from_y * from + from_x] += (weight_y * weight_x) as f32;
                }
            }
        }
    }
    out
}

/// A position table [1 + from*from, columns] for a `to` x `to` grid.
pub fn interpolate(table: &[f32], from: usize, to: usize) -> Vec<f32> {
    if from == to {
        return table.to_vec();
    }
    let columns = table.len() / (1 + from * from);
    let taps: Vec<[(usize, f64); 4]> = (0..to).map(|i| taps(i, from, to)).collect();
    let mut out = table[..columns].to_vec();
    for i in 0..to * to {
        let mut sum = vec![0.0f64; columns];
        for (from_y, weight_y) in taps[i / to] {
            for (from_x, weight_x) in taps[i % to] {
                let row = &table[(1 + from_y * from + from_x) * columns..][..columns];
                for (sum, value) in sum.iter_mut().zip(row) {
                    *sum += weight_y * weight_x * f64::from(*value);
                }
            }
        }
        out.extend(sum.into_iter().map(|v| v as f32));
    }
    out
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
    use super::*;

    #[test]
    fn every_row_sums_to_one() {
        for (from, to) in [(37, 8), (4, 7), (1, 3), (5, 5)] {
            for (i, row) in matrix(from, to).chunks_exact(1 + from * from).enumerate() {
                let sum: f32 = row.iter().sum();
                assert!((sum - 1.0).abs() < 1e-5, "{from} to {to}, row {i}: {sum}");
            }
        }
    }

    #[test]
    fn the_matrix_and_the_taps_agree() {
        let (from, to, columns) = (5, 7, 3);
        let table: Vec<f32> =
            (0..(1 + from * from) * columns).map(|i| (i as f32 * 0.7).sin()).collect();
        let taps = interpolate(&table, from, to);
        for (i, row) in matrix(from, to).chunks_exact(1 + from * from).enumerate() {
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
        assert_eq!(interpolate(&table, 4, 4), table);
        let identity = matrix(4, 4);
        assert!(
            identity
                .chunks_exact(17)
                .enumerate()
                .all(|(i, row)| row[i] == 1.0 && row.iter().sum::<f32>() == 1.0)
        );
    }
}
