//! Images warped, recoloured and cut: the augmentations of condensation. All in f32.

use medforge_shaders::{COLOUR, CUTOUT, Element, IMAGE_MEAN, WARP};

use crate::device::{Affine, Colour, ImageSize, Rectangle};

use super::call::Call;
use super::{Buffer, Gpu};

impl Gpu {
    /// Images under affine maps, or the gradient to them.
    pub(super) fn warped(
        &self,
        size: ImageSize,
        x: &Buffer,
        maps: &[Affine],
        backward: bool,
    ) -> Buffer {
        assert_eq!(x.len, size.values());
        size.check_maps(maps);
        let (x, y) = (self.wide(x), self.engine.allocate(x.len, Element::F32));
        let pixels = size.batch * size.pixels();
        self.engine.run(Call {
            kernel: &WARP,
            settings: &[("backward", backward.into())],
            params: &[size.batch as u32, size.height as u32, size.width as u32],
            buffers: &[&x, &self.words(maps), &y],
            groups: self.engine.over(pixels),
            operations: 40 * pixels as u64,
        });
        y
    }

    pub(super) fn recoloured(&self, size: ImageSize, x: &Buffer, changes: &[Colour]) -> Buffer {
        assert_eq!((x.len, changes.len()), (size.values(), size.batch));
        let (x, y) = (self.wide(x), self.engine.allocate(x.len, Element::F32));
        let means = self.engine.allocate(size.batch, Element::F32);
        self.engine.run(Call {
            kernel: &IMAGE_MEAN,
            settings: &[],
            params: &[3 * size.pixels() as u32],
            buffers: &[&x, &means],
            groups: [size.batch as u32, 1, 1],
            operations: x.len as u64,
        });
        let changes: Vec<[f32; 3]> =
            changes.iter().map(|c| [c.brightness, c.saturation, c.contrast]).collect();
        self.engine.run(Call {
            kernel: &COLOUR,
            settings: &[],
            params: &[size.batch as u32, size.pixels() as u32],
            buffers: &[&x, &means, &self.words(&changes), &y],
            groups: self.engine.over(size.batch * size.pixels()),
            operations: 6 * x.len as u64,
        });
        y
    }

    pub(super) fn cut_out(&self, size: ImageSize, x: &Buffer, cut: &[Rectangle]) -> Buffer {
        assert_eq!((x.len, cut.len()), (size.values(), size.batch));
        let (x, y) = (self.wide(x), self.engine.allocate(x.len, Element::F32));
        let corners = cut.iter().map(|r| {
            let end = |start: usize, length: usize, most: usize| {
                start.saturating_add(length).min(most) as u32
            };
            let (bottom, right) =
                (end(r.top, r.height, size.height), end(r.left, r.width, size.width));
            [r.top.min(size.height) as u32, r.left.min(size.width) as u32, bottom, right]
        });
        self.engine.run(Call {
            kernel: &CUTOUT,
            settings: &[],
            params: &[x.len as u32, size.height as u32, size.width as u32],
            buffers: &[&x, &self.words(&corners.collect::<Vec<_>>()), &y],
            groups: self.engine.over(x.len),
            operations: 0,
        });
        y
    }

    /// The buffer in f32.
    pub(super) fn wide(&self, x: &Buffer) -> Buffer {
        match x.element {
            Element::F32 => x.clone(),
            Element::F16 => self.engine.convert(x, Element::F32),
        }
    }
}
