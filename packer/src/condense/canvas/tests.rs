//! Painting and its gradient, the round trip, and noise like the images that a canvas was made of.

use super::*;

fn palette() -> Palette {
    Palette {
        mean: [0.5, 0.4, 0.6],
        axes: [[0.1, 0.0, 0.0], [0.05, 0.08, 0.0], [0.02, -0.03, 0.06]],
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
            level + strength * (std::f64::consts::PI * ((p % size) as f64 + 0.5) * 4.0 / 16.0).cos()
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
        let apart: f32 =
            drawn.iter().map(|x| (0..255).map(|p| (x[p] - x[p + 1]).powi(2)).sum::<f32>()).sum();
        let spread: f32 =
            drawn.iter().map(|x| x[..256].iter().map(|v| (v - mean).powi(2)).sum::<f32>()).sum();
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
