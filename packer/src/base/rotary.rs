//! The angles by which queries and keys of patches are rotated: DINOv3's form of Su et al. 2021
//! (arXiv 2104.09864) in two dimensions. Nothing of it is learned.

use std::f64::consts::PI;

use super::vit_config::{Positions, VitConfig};

/// The cosine and the sine of each angle for images of `size` pixels, each [patches, head width /
/// 2] row-major: value j of a head's first half is rotated with value j of its second. None for a
/// base whose positions are learned.
pub fn tables(config: &VitConfig, size: usize) -> Option<[Vec<f32>; 2]> {
    let Positions::Rotary { theta } = config.positions else { return None };
    let angles = angles(size / config.patch, config.hidden / config.heads, theta);
    Some([libm::cos, libm::sin].map(|of| angles.iter().map(|&angle| of(angle) as f32).collect()))
}

/// A table [patches, head width / 2] as graphs have it, [patches, head width]: each row twice.
pub fn repeated(table: &[f32], config: &VitConfig) -> Vec<f32> {
    let half = config.hidden / config.heads / 2;
    table.chunks_exact(half).flat_map(|row| [row, row].concat()).collect()
}

/// For each patch of a square grid a quarter of `width` angles by its row, and as many by its
/// column. Places go from -1 to 1 over the image, and are measured at the middle of a patch. The
/// waves are 1 to nearly `theta` of these long.
fn angles(grid: usize, width: usize, theta: f64) -> Vec<f64> {
    let frequency = |m: usize| 2.0 * PI * libm::pow(theta, -4.0 * m as f64 / width as f64);
    let frequencies: Vec<f64> = (0..width / 4).map(frequency).collect();
    let place = |i: usize| 2.0 * (i as f64 + 0.5) / grid as f64 - 1.0;
    let mut angles = Vec::with_capacity(grid * grid * width / 2);
    for patch in 0..grid * grid {
        for i in [patch / grid, patch % grid] {
            angles.extend(frequencies.iter().map(|f| place(i) * f));
        }
    }
    angles
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(positions: Positions) -> VitConfig {
        VitConfig { patch: 2, hidden: 16, heads: 2, positions, ..VitConfig::PLAIN }
    }

    /// Two patches a side lie at -1/2 and 1/2; the frequencies of heads of 8 are 1 and 1/10.
    #[test]
    fn angles_go_by_row_then_by_column() {
        let config = config(Positions::Rotary { theta: 100.0 });
        let [cos, sin] = tables(&config, 4).unwrap();
        assert_eq!((cos.len(), sin.len()), (4 * 4, 4 * 4));
        for (patch, [y, x]) in
            [[-0.5, -0.5], [-0.5, 0.5], [0.5, -0.5], [0.5, 0.5]].iter().enumerate()
        {
            let angles = [y * 2.0 * PI, y * 0.2 * PI, x * 2.0 * PI, x * 0.2 * PI];
            for (j, angle) in angles.into_iter().enumerate() {
                let at = patch * 4 + j;
                assert!((f64::from(cos[at]) - angle.cos()).abs() < 1e-7, "patch {patch}, {j}");
                assert!((f64::from(sin[at]) - angle.sin()).abs() < 1e-7, "patch {patch}, {j}");
            }
        }
        let twice = repeated(&sin, &config);
        assert_eq!((&twice[..4], &twice[4..8]), (&sin[..4], &sin[..4]));
        assert_eq!((twice.len(), &twice[28..]), (32, &sin[12..]));
    }

    #[test]
    fn learned_positions_have_no_angles() {
        assert!(tables(&config(Positions::Learned), 4).is_none());
    }
}
