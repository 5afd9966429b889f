//! The gradients of the operations on images, and what these must leave exactly as it is.

use crate::device::{Affine, Colour, ImageSize, Rectangle};

use super::*;

const IDENTITY: Affine = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];

const SIZES: [ImageSize; 5] = [
    ImageSize { batch: 1, height: 1, width: 1 },
    ImageSize { batch: 2, height: 3, width: 4 },
    ImageSize { batch: 1, height: 1, width: 7 },
    ImageSize { batch: 3, height: 6, width: 1 },
    ImageSize { batch: 1, height: 5, width: 5 },
];

#[test]
fn warp() {
    for (i, size) in SIZES.into_iter().enumerate() {
        let maps: Vec<Affine> = random_maps(size.batch, i as u32);
        check("warp", &[(size.batch, 3 * size.pixels())], |t, v| t.warp(&v[0], size, &maps));
    }
}

#[test]
fn colour() {
    for size in SIZES {
        let changes = changes(size.batch);
        check("colour", &[(size.batch, 3 * size.pixels())], |t, v| t.colour(&v[0], size, &changes));
    }
}

#[test]
fn cutout() {
    for size in SIZES {
        let cut = rectangles(size.batch);
        check("cutout", &[(size.batch, 3 * size.pixels())], |t, v| t.cutout(&v[0], size, &cut));
    }
}

/// <warp(x), y> = <x, warp_backward(y)>, and so for f32.
#[test]
fn warp_backward_is_the_adjoint_of_warp() {
    let wide = D::poisoned();
    let narrow = Cpu::<f32>::poisoned();
    for seed in 0..60 {
        let size =
            ImageSize { batch: 2, height: 5 + seed as usize % 9, width: 4 + seed as usize % 7 };
        let maps = random_maps(size.batch, 100 + seed);
        let (x, y) = (numbers(size.values(), seed + 1), numbers(size.values(), seed + 1000));
        fn products<T: crate::device::cpu::Real>(
            d: &Cpu<T>,
            size: ImageSize,
            maps: &[Affine],
            x: &[f32],
            y: &[f32],
        ) -> [f64; 2] {
            let (forward, backward) =
                (d.warp(size, &d.upload(x), maps), d.warp_backward(size, &d.upload(y), maps));
            let dot = |a: &[T], b: &[f32]| {
                a.iter().zip(b).map(|(a, b)| a.to_f64() * f64::from(*b)).sum::<f64>()
            };
            [dot(d.values(&forward), y), dot(d.values(&backward), x)]
        }
        let [left, right] = products(&wide, size, &maps, &x, &y);
        assert!((left - right).abs() < 1e-9, "{maps:?} on {size:?}: {left} against {right}");
        let [left32, right32] = products(&narrow, size, &maps, &x, &y);
        assert!(
            (left32 - left).abs() < 1e-4 && (right32 - left).abs() < 1e-4,
            "{left32}, {right32} against {left}"
        );
    }
}

#[test]
fn identity_flips_and_whole_shifts_are_exact() {
    let device = Cpu::<f32>::poisoned();
    for size in
        [ImageSize { batch: 2, height: 7, width: 10 }, ImageSize { batch: 2, height: 4, width: 3 }]
    {
        let values: Vec<f32> = numbers(size.values(), 3).iter().map(|x| x / 3.0).collect();
        let images = device.upload(&values);
        let (h, w) = (size.height as isize, size.width as isize);
        let expect = |map: Affine, from: &dyn Fn(isize, isize) -> (isize, isize)| {
            let warped = device.warp(size, &images, &[map, map]);
            for (i, value) in device.values(&warped).iter().enumerate() {
                let (plane, row, column) =
                    (i as isize / (h * w), i as isize / w % h, i as isize % w);
                let (row, column) = from(row, column);
                let inside = (0..h).contains(&row) && (0..w).contains(&column);
                let expected =
                    if inside { values[(plane * h * w + row * w + column) as usize] } else { 0.0 };
                assert_eq!(*value, expected, "{map:?}, value {i}");
            }
        };
        expect(IDENTITY, &|row, column| (row, column));
        expect([-1.0, 0.0, 0.0, 0.0, 1.0, 0.0], &|row, column| (row, w - 1 - column));
        expect([1.0, 0.0, 0.0, 0.0, -1.0, 0.0], &|row, column| (h - 1 - row, column));
        expect([1.0, 0.0, 2.0, 0.0, 1.0, -1.0], &|row, column| (row - 1, column + 2));
    }
}

/// One row a channel, read from a quarter of a pixel to the left: the first pixel loses the quarter
/// that lies outside.
#[test]
fn warp_is_bilinear_with_zeros_around() {
    let device = D::poisoned();
    let size = ImageSize { batch: 1, height: 1, width: 4 };
    let images = device.upload(&[0.0, 2.0, 4.0, 6.0, 8.0, 2.0, 4.0, 6.0, 0.0, 0.0, 0.0, 4.0]);
    let warped = device.warp(size, &images, &[[1.0, 0.0, -0.25, 0.0, 1.0, 0.0]]);
    let expected = [0.0, 1.5, 3.5, 5.5, 6.0, 3.5, 3.5, 5.5, 0.0, 0.0, 0.0, 3.0];
    assert_eq!(device.values(&warped), expected);
}

#[test]
#[should_panic(expected = "cannot be inverted")]
fn a_map_onto_a_line_is_refused() {
    let device = D::poisoned();
    let size = ImageSize { batch: 1, height: 2, width: 2 };
    device.warp(size, &device.zeros(12), &[[1.0, 2.0, 0.0, 0.5, 1.0, 0.0]]);
}

/// Two pixels, (1 2 3) and (5 5 5), their mean 3.5: +1, then a pixel's distance from its mean
/// halved, then the distance from 4.5 doubled.
#[test]
fn colour_changes_in_the_documented_order() {
    let device = D::poisoned();
    let size = ImageSize { batch: 1, height: 1, width: 2 };
    let images = device.upload(&[1.0, 5.0, 2.0, 5.0, 3.0, 5.0]);
    let change = Colour { brightness: 1.0, saturation: 0.5, contrast: 2.0 };
    let changed = device.colour(size, &images, &[change]);
    let expected = [0.5, 7.5, 1.5, 7.5, 2.5, 7.5];
    for (ours, expected) in device.values(&changed).iter().zip(expected) {
        assert!((ours - expected).abs() < 1e-12, "{ours} against {expected}");
    }
}

/// Without brightness the change is linear and symmetric: its gradient is the change itself.
#[test]
fn colour_backward_is_colour_without_brightness() {
    let device = D::poisoned();
    for size in SIZES {
        let (x, y) =
            (device.upload(&numbers(size.values(), 1)), device.upload(&numbers(size.values(), 2)));
        let changes = changes(size.batch);
        let linear: Vec<_> = changes.iter().map(|c| Colour { brightness: 0.0, ..*c }).collect();
        let dot = |a, b| -> f64 {
            device.values(a).iter().zip(device.values(b)).map(|(a, b)| a * b).sum()
        };
        let (left, right) = (
            dot(&device.colour(size, &x, &linear), &y),
            dot(&x, &device.colour(size, &y, &linear)),
        );
        assert!((left - right).abs() < 1e-12, "{left} against {right}");
        let ours = device.colour_backward(size, &y, &changes);
        assert_eq!(device.values(&ours), device.values(&device.colour(size, &y, &linear)));
    }
}

#[test]
fn cutout_clips_its_rectangle() {
    let device = D::poisoned();
    let size = ImageSize { batch: 1, height: 2, width: 3 };
    let images = device.upload(&[1.0; 18]);
    let cut = |top, left, height, width| {
        let cut = device.cutout(size, &images, &[Rectangle { top, left, height, width }]);
        let values = device.values(&cut);
        assert!(values.chunks_exact(6).all(|plane| plane == &values[..6]), "channels differ");
        values[..6].to_vec()
    };
    assert_eq!(cut(0, 1, 1, 1), [1.0, 0.0, 1.0, 1.0, 1.0, 1.0]);
    assert_eq!(cut(1, 2, 9, usize::MAX), [1.0, 1.0, 1.0, 1.0, 1.0, 0.0]);
    assert_eq!(cut(2, 3, 1, 1), [1.0; 6]);
    assert_eq!(cut(0, 0, 2, 0), [1.0; 6]);
    assert_eq!(cut(0, 0, 2, 3), [0.0; 6]);
}

#[test]
fn a_pixel_that_is_no_number_is_seen() {
    let device = Cpu::<f32>::poisoned();
    let size = ImageSize { batch: 1, height: 3, width: 3 };
    let mut values = vec![1.0; 27];
    values[13] = f32::NAN;
    let images = device.upload(&values);
    let nan = |buffer| device.download(&buffer).unwrap().iter().filter(|x| x.is_nan()).count();
    assert_eq!(nan(device.warp(size, &images, &[IDENTITY])), 1);
    assert_eq!(nan(device.warp_backward(size, &images, &[IDENTITY])), 1);
    let shifted = [1.0, 0.0, 0.5, 0.0, 1.0, 0.5];
    assert_eq!(nan(device.warp(size, &images, &[shifted])), 4);
    assert_eq!(nan(device.warp_backward(size, &images, &[shifted])), 4);
    assert_eq!(nan(device.colour(size, &images, &changes(1))), 27);
    assert_eq!(
        nan(device.cutout(size, &images, &[Rectangle { top: 0, left: 0, height: 1, width: 3 }])),
        1
    );
}

/// Rotations by any angle, scales from 0.3 to 3 each way, flips, shifts by up to 3 pixels.
fn random_maps(len: usize, seed: u32) -> Vec<Affine> {
    let random = numbers(6 * len, seed + 7);
    let map = |r: &[f32]| {
        let (sin, cos) = (r[0] * std::f32::consts::PI).sin_cos();
        let (across, down) =
            (0.3 * 10f32.powf((r[1] + 1.0) / 2.0), 0.3 * 10f32.powf((r[2] + 1.0) / 2.0));
        let across = if r[3] < 0.0 { -across } else { across };
        [across * cos, -down * sin, 3.0 * r[4], across * sin, down * cos, 3.0 * r[5]]
    };
    random.chunks_exact(6).map(map).collect()
}

fn changes(len: usize) -> Vec<Colour> {
    let random = numbers(3 * len, 17);
    let change =
        |r: &[f32]| Colour { brightness: r[0], saturation: 1.0 + r[1], contrast: 1.0 + r[2] / 2.0 };
    random.chunks_exact(3).map(change).collect()
}

fn rectangles(len: usize) -> Vec<Rectangle> {
    (0..len).map(|i| Rectangle { top: i, left: 1, height: 2, width: 2 + i }).collect()
}
