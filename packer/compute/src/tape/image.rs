//! The tape's operations on images: the differentiable augmentations of a condensed set (DSA, Zhao
//! & Bilen 2021).

use crate::device::{Affine, Colour, Device, ImageSize, Rectangle};

use super::{Tape, Var};

impl<D: Device + 'static> Tape<D> {
    /// Images [batch, 3*height*width] under affine maps, one each: crops, flips, scales and
    /// rotations. The result has the same shape; it is bilinear between pixel centres (Jaderberg et
    /// al. 2015, section 3.3), with zeros around the source.
    pub fn warp(&self, images: &Var<D>, size: ImageSize, maps: &[Affine]) -> Var<D> {
        check(images, size);
        let y = self.device.warp(size, &images.value.buffer, maps);
        let (node, maps) = (images.node, maps.to_vec());
        self.record(images.value.like(y), &[images], move |d, dy, g| {
            g.add(node, || d.warp_backward(size, dy, &maps));
        })
    }

    /// Images [batch, 3*height*width] with brightness, saturation and contrast changed as Zhao &
    /// Bilen 2021 do; the result has the same shape.
    pub fn colour(&self, images: &Var<D>, size: ImageSize, changes: &[Colour]) -> Var<D> {
        check(images, size);
        let y = self.device.colour(size, &images.value.buffer, changes);
        let (node, changes) = (images.node, changes.to_vec());
        self.record(images.value.like(y), &[images], move |d, dy, g| {
            g.add(node, || d.colour_backward(size, dy, &changes));
        })
    }

    /// Images [batch, 3*height*width] with one rectangle each set to zero (Cutout, DeVries & Taylor
    /// 2017); the result has the same shape.
    pub fn cutout(&self, images: &Var<D>, size: ImageSize, cut: &[Rectangle]) -> Var<D> {
        check(images, size);
        let y = self.device.cutout(size, &images.value.buffer, cut);
        let (node, cut) = (images.node, cut.to_vec());
        self.record(images.value.like(y), &[images], move |d, dy, g| {
            g.add(node, || d.cutout(size, dy, &cut));
        })
    }
}

fn check<D: Device>(images: &Var<D>, size: ImageSize) {
    assert_eq!((images.value.rows, images.value.columns), (size.batch, 3 * size.pixels()));
}
