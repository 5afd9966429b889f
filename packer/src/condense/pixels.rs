//! Pixels between the forms that files, canvas and base have them in.

use crate::base::Vit;

/// Height x width x RGB bytes as [3, height, width] in 0..1.
pub fn planar(rgb: &[u8]) -> Vec<f32> {
    (0..3).flat_map(|c| rgb.iter().skip(c).step_by(3).map(|v| f32::from(*v) / 255.0)).collect()
}

/// RGB in 0..1 [n, 3, size, size], normalised for the base.
pub fn normalised(vit: &Vit, images: &[f32], size: usize) -> Vec<f32> {
    let p = &vit.preprocessing;
    let value = |(i, v): (usize, &f32)| {
        let c = channel(i, size);
        ((f64::from(*v) * 255.0 * p.rescale - p.mean[c]) / p.std[c]) as f32
    };
    images.iter().enumerate().map(value).collect()
}

/// Turns the gradient to normalised pixels [n, 3, size, size] into that to RGB in 0..1.
pub fn to_rgb(vit: &Vit, gradient: &mut [f32], size: usize) {
    let scale = vit.preprocessing.std.map(|std| 255.0 * vit.preprocessing.rescale / std);
    let values = gradient.iter_mut().enumerate();
    values.for_each(|(i, v)| *v = (f64::from(*v) * scale[channel(i, size)]) as f32);
}

/// The channel of value `i` of images [n, 3, size, size].
fn channel(i: usize, size: usize) -> usize {
    i / (size * size) % 3
}
