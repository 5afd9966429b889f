//! A map over its image, as PNG. The larger a value, the more opaque its colour. The colours are
//! viridis (van der Walt and Smith 2015), whose lightness rises evenly.

use crate::Error;
use crate::data::phantom::png;
use medforge_runtime::image::RgbImage8;

/// Viridis at even steps from 0 to 1.
const COLOURS: [[u8; 3]; 9] = [
    [68, 1, 84],
    [71, 44, 122],
    [59, 81, 139],
    [44, 113, 142],
    [33, 144, 141],
    [39, 173, 129],
    [92, 200, 99],
    [170, 220, 50],
    [253, 231, 37],
];
/// How opaque the largest value is.
const OPACITY: f64 = 0.7;

/// The map `values` [grid, grid], divided by its largest value, over an image of `side` x `side`
/// RGB bytes: a PNG file.
///
/// # Errors
/// [`Error::Phantom`] where it cannot be encoded; [`Error::Runtime`] for bytes that are no image.
pub fn overlay(rgb: &[u8], side: usize, values: &[f32], grid: usize) -> Result<Vec<u8>, Error> {
    picture(heated(rgb, side, values, grid), side, side)
}

/// The image, and below it [`overlay`]: a PNG file.
///
/// # Errors
/// As [`overlay`].
pub fn pair(rgb: &[u8], side: usize, values: &[f32], grid: usize) -> Result<Vec<u8>, Error> {
    let both = [rgb, &heated(rgb, side, values, grid)].concat();
    picture(both, side, 2 * side)
}

fn picture(rgb: Vec<u8>, width: usize, height: usize) -> Result<Vec<u8>, Error> {
    png(&RgbImage8::new(rgb, width as u32, height as u32)?)
}

fn heated(rgb: &[u8], side: usize, values: &[f32], grid: usize) -> Vec<u8> {
    let heat = upsampled(values, grid, side);
    let most = heat.iter().copied().fold(0.0, f64::max);
    let blend = |(pixel, heat): (&[u8], &f64)| {
        let heat = if most > 0.0 { heat / most } else { 0.0 };
        let (colour, opacity) = (colour(heat), OPACITY * heat);
        [0, 1, 2]
            .map(|c| (f64::from(pixel[c]) * (1.0 - opacity) + colour[c] * opacity).round() as u8)
    };
    rgb.chunks_exact(3).zip(&heat).flat_map(blend).collect()
}

/// `values` [grid, grid] at [side, side], bilinear between the centres of the patches and constant
/// beyond them.
pub fn upsampled(values: &[f32], grid: usize, side: usize) -> Vec<f64> {
    let place = |pixel: usize| {
        let at =
            ((pixel as f64 + 0.5) * grid as f64 / side as f64 - 0.5).clamp(0.0, (grid - 1) as f64);
        (at.floor() as usize, (at.floor() as usize + 1).min(grid - 1), at.fract())
    };
    let at = |row: usize, column: usize| f64::from(values[row * grid + column]);
    let mut out = Vec::with_capacity(side * side);
    for y in 0..side {
        let (top, bottom, down) = place(y);
        for x in 0..side {
            let (left, right, across) = place(x);
            let line = |row: usize| at(row, left) * (1.0 - across) + at(row, right) * across;
            out.push(line(top) * (1.0 - down) + line(bottom) * down);
        }
    }
    out
}

fn colour(heat: f64) -> [f64; 3] {
    let at = heat.clamp(0.0, 1.0) * (COLOURS.len() - 1) as f64;
    let (low, high) = (at.floor() as usize, at.ceil() as usize);
    [0, 1, 2].map(|c| {
        f64::from(COLOURS[low][c]) * (1.0 - at.fract()) + f64::from(COLOURS[high][c]) * at.fract()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upsampling_is_bilinear_between_patch_centres() {
        let wide = upsampled(&[0.0, 1.0, 2.0, 3.0], 2, 4);
        assert_eq!(wide[..4], [0.0, 0.25, 0.75, 1.0]);
        assert_eq!([wide[4], wide[8], wide[12], wide[15]], [0.5, 1.5, 2.0, 3.0]);
        assert_eq!(upsampled(&[0.5], 1, 3), [0.5; 9]);
    }

    #[test]
    fn the_hottest_place_is_yellow_and_the_coldest_is_the_image() {
        let image = vec![100u8; 8 * 8 * 3];
        let read = |png: Vec<u8>| image::load_from_memory(&png).unwrap().to_rgb8();
        let hot = read(overlay(&image, 8, &[0.0, 0.0, 0.0, 0.3], 2).unwrap());
        assert_eq!(hot.get_pixel(0, 0).0, [100; 3]);
        let expected = [253.0, 231.0, 37.0]
            .map(|c: f64| (c * OPACITY + 100.0 * (1.0 - OPACITY)).round() as u8);
        assert_eq!(hot.get_pixel(7, 7).0, expected);
        let both = read(pair(&image, 8, &[0.0, 0.0, 0.0, 0.3], 2).unwrap());
        assert_eq!(both.dimensions(), (8, 16));
        assert_eq!((both.get_pixel(7, 7).0, both.get_pixel(7, 15).0), ([100; 3], expected));
        // A map of nothing leaves the image as it is.
        assert!(
            read(overlay(&image, 8, &[0.0; 4], 2).unwrap())
                .pixels()
                .all(|pixel| pixel.0 == [100; 3])
        );
    }

    #[test]
    fn the_colours_grow_lighter_all_the_way() {
        let light = |[r, g, b]: [f64; 3]| 0.2126 * r + 0.7152 * g + 0.0722 * b;
        let scale: Vec<f64> = (0..=40).map(|i| light(colour(f64::from(i) / 40.0))).collect();
        assert!(scale.windows(2).all(|pair| pair[0] < pair[1]), "{scale:?}");
    }
}
