//! How images are changed: their sizes, affine maps, colour changes and cut-outs.

/// The sizes of an image batch [batch, 3, height, width].
#[derive(Clone, Copy, Debug)]
pub struct ImageSize {
    pub batch: usize,
    pub height: usize,
    pub width: usize,
}

/// An affine map from an output pixel to its place in the source, both in pixels from the image's
/// centre: source x = `m[0] x + m[1] y + m[2]`, source y = `m[3] x + m[4] y + m[5]`. Pixel centres
/// lie at halves.
pub type Affine = [f32; 6];

/// Colour changes, in this order: `brightness` is added; each pixel's distance from its channel
/// mean is multiplied by `saturation`; each value's distance from the image's mean is multiplied by
/// `contrast`.
#[derive(Clone, Copy, Debug)]
pub struct Colour {
    pub brightness: f32,
    pub saturation: f32,
    pub contrast: f32,
}

/// A rectangle of pixels; what lies outside the image is cut off.
#[derive(Clone, Copy, Debug)]
pub struct Rectangle {
    pub top: usize,
    pub left: usize,
    pub height: usize,
    pub width: usize,
}

impl ImageSize {
    /// Pixels of one image, which has three values for each.
    pub fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// Values of the batch.
    pub fn values(&self) -> usize {
        3 * self.batch * self.pixels()
    }

    /// Panics unless there is one map for each image, its six numbers finite and its determinant
    /// not within 1e-6 of zero: a map that squashes an image has no footprint to gather the
    /// gradient from, and is a bug in the caller.
    pub fn check_maps(&self, maps: &[Affine]) {
        assert_eq!(maps.len(), self.batch, "one map for each image");
        for map in maps {
            let [a, b, _, c, d, _] = map.map(f64::from);
            assert!(map.iter().all(|m| m.is_finite()), "not a finite map: {map:?}");
            assert!((a * d - b * c).abs() >= 1e-6, "a map that cannot be inverted: {map:?}");
        }
    }
}
