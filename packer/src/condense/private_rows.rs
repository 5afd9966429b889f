//! What a private bank holds: rows to be released once, in units of what random pictures of no
//! patient give.

use crate::data::Images;
use crate::device::Device;
use crate::train::Observer;
use crate::{Error, interrupt};

use super::canvas::Canvas;
use super::palette::Palette;
use super::pixels::normalised;
use super::privacy::{Budget, FeatureRow, Release, release};
use super::source::Source;
use super::statistics::moments;
use super::viewer::Viewer;

/// Random pictures that a private release is measured against.
const REFERENCE: usize = 64;
/// The seed of the random pictures: a constant, so that a release can be used by whoever has it.
const REFERENCE_SEED: u64 = 0x6d65_6466;
/// The largest norm of a group's row, in units of what random pictures have on average.
const CLIP: f64 = 2.0;

/// Rows of images, and the release that was made of them.
pub struct PrivateRows {
    /// By image, its mean over the views, each in units of random pictures [images, width]; empty
    /// where a release was made before.
    rows: Vec<f32>,
    width: usize,
    /// By view, the mean and deviation of random pictures.
    pub reference: Vec<[Vec<f32>; 2]>,
    pub release: Option<Release>,
}

impl PrivateRows {
    /// Measures random pictures, and all images of the source unless they were `released` before.
    pub fn measure<D: Device + 'static>(
        viewer: &Viewer<D>,
        Source { vit, images, .. }: Source,
        size: usize,
        released: Option<Release>,
        observer: &mut dyn Observer,
    ) -> Result<Self, Error> {
        let canvas = Canvas::new(size, Palette::neutral(vit.preprocessing.mean));
        let len = if released.is_none() { images.len() * viewer.width() } else { 0 };
        let mut rows = vec![0f32; len];
        let mut reference = Vec::with_capacity(viewer.views());
        for view in 0..viewer.views() {
            interrupt::check()?;
            let pictures: Vec<f32> =
                (0..REFERENCE).flat_map(|i| canvas.noise(REFERENCE_SEED, i, 0)).collect();
            let pictures = normalised(vit, &canvas.paint(&pictures), size);
            let units = moments(&viewer.rows(&pictures, view)?, viewer.width());
            if released.is_none() {
                add(&mut rows, viewer, images, view, &units)?;
            }
            reference.push(units);
            observer.step(&viewer.step(view + 1, images.len()));
        }
        Ok(PrivateRows { rows, width: viewer.width(), reference, release: released })
    }

    /// Releases the class means of the images `members` within `budget`, once: this is what spends
    /// it. `labels` and `groups` are those of all images.
    ///
    /// # Errors
    /// What [`release`](fn@release) refuses; rows that were not measured, since a release was made
    /// before.
    pub fn release(
        &mut self,
        members: &[usize],
        [labels, groups]: [&[usize]; 2],
        classes: &[String],
        budget: Budget,
    ) -> Result<(), Error> {
        let width = self.width;
        if self.rows.is_empty() {
            let what = "patients are read once, and their release was made before".into();
            return Err(Error::Condense { what });
        }
        let row = |&m: &usize| {
            let row = &self.rows[m * width..][..width];
            FeatureRow { class: labels[m], group: groups[m], row }
        };
        let rows: Vec<FeatureRow> = members.iter().map(row).collect();
        self.release = Some(release(&rows, classes, CLIP * (width as f64).sqrt(), budget)?);
        Ok(())
    }
}

/// Adds one view's part of each image's mean, in `units` of random pictures: mean and deviation.
fn add<D: Device + 'static>(
    sums: &mut [f32],
    viewer: &Viewer<D>,
    images: &Images,
    view: usize,
    [centre, deviation]: &[Vec<f32>; 2],
) -> Result<(), Error> {
    let (width, views) = (viewer.width(), viewer.views());
    let all: Vec<usize> = (0..images.len()).collect();
    let rows = viewer.rows_of(images, &all, view)?;
    for (sum, row) in sums.chunks_exact_mut(width).zip(rows.chunks_exact(width)) {
        for j in 0..width {
            sum[j] += (row[j] - centre[j]) / deviation[j] / views as f32;
        }
    }
    Ok(())
}
