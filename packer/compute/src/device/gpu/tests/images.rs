//! Images, their patches, and their augmentations.

use crate::device::{Colour, Device, ImageSize, PatchSize, Rectangle};

use super::*;

#[test]
fn pixels() {
    for (batch, height, width, patch) in
        [(1, 2, 2, 2), (2, 6, 4, 2), (1, 7, 11, 3), (3, 28, 28, 14)]
    {
        let size = PatchSize { batch, height, width, patch };
        let (images, dy) =
            (numbers(batch * 3 * height * width, 1), numbers(size.rows() * size.columns(), 2));
        case!(format!("{size:?}"), 1e-6, |d| {
            let (images, dy) = (d.upload_frozen(&images), d.upload_frozen(&dy));
            [d.patches(size, &images), d.patches_backward(size, &dy)]
        });
    }
}

#[test]
fn augmentations() {
    let turn = |angle: f32, scale: f32, x: f32, y: f32| {
        let (sin, cos) = angle.sin_cos();
        [scale * cos, -scale * sin, x, scale * sin, scale * cos, y]
    };
    for (height, width) in [(1, 1), (5, 8), (16, 16), (30, 17)] {
        let maps = [
            turn(0.0, 1.0, 0.0, 0.0),
            [-1.0, 0.0, 0.0, 0.0, 1.0, 0.0],
            turn(0.7, 0.4, 1.25, -2.5),
            turn(-2.0, 2.5, 0.3, 0.1),
            [1.0, 0.3, -0.75, 0.2, -0.8, 1.5],
        ];
        let size = ImageSize { batch: maps.len(), height, width };
        let (x, dy) = (numbers(size.values(), 1), numbers(size.values(), 2));
        case!(format!("warp {height} x {width}"), 2e-4, |d| {
            let (x, dy) = (d.upload_frozen(&x), d.upload_frozen(&dy));
            [d.warp(size, &x, &maps), d.warp_backward(size, &dy, &maps)]
        });
        let changes: Vec<Colour> = (0..maps.len())
            .map(|i| i as f32 / 4.0)
            .map(|t| Colour { brightness: 0.5 - t, saturation: 2.0 * t, contrast: 0.5 + t })
            .collect();
        let cut: Vec<Rectangle> = (0..maps.len())
            .map(|i| Rectangle {
                top: i,
                left: 2 * i,
                height: 3,
                width: if i == 4 { usize::MAX } else { i },
            })
            .collect();
        case!(format!("colour and cut-out {height} x {width}"), 1e-5, |d| {
            let (x, dy) = (d.upload_frozen(&x), d.upload_frozen(&dy));
            [
                d.colour(size, &x, &changes),
                d.colour_backward(size, &dy, &changes),
                d.cutout(size, &x, &cut),
            ]
        });
    }
}
