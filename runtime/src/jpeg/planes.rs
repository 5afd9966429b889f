//! The blocks of a colour, their coefficients and samples, and its lines at the size of the image.
//!
//! Lines are enlarged as libjpeg does it. Twice as many samples are three quarters of the nearer
//! one and one quarter of the farther; other factors repeat each sample.

use super::head::Head;
use super::idct::{self, Sample};

/// From the place in a scan to the place in a block, row by row.
pub(super) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// How the blocks of a colour lie.
pub(super) struct Layout {
    /// Blocks of a unit of several colours.
    pub(super) unit: [usize; 2],
    /// Units of several colours across and down.
    pub(super) units: [usize; 2],
    /// Blocks across and down that hold samples of the image.
    pub(super) used: [usize; 2],
    /// Samples across and down.
    samples: [usize; 2],
    /// How many pixels a sample is for, across and down.
    pixels: [usize; 2],
}

impl Layout {
    pub(super) fn new(head: &Head<'_>, index: usize) -> Self {
        let factors = |at: usize| -> [usize; 2] {
            [head.components[at].across.into(), head.components[at].down.into()]
        };
        let most =
            |side: usize| (0..head.components.len()).map(|at| factors(at)[side]).max().unwrap_or(1);
        let (unit, most) = (factors(index), [most(0), most(1)]);
        let image = [usize::from(head.columns), usize::from(head.rows)];
        let samples = [0, 1].map(|side| (image[side] * unit[side]).div_ceil(most[side]));
        Layout {
            unit,
            units: [0, 1].map(|side| image[side].div_ceil(8 * most[side])),
            used: samples.map(|samples| samples.div_ceil(8)),
            samples,
            pixels: [0, 1].map(|side| most[side] / unit[side]),
        }
    }

    /// Blocks that hold samples of the image.
    pub(super) fn blocks(&self) -> usize {
        self.used[0] * self.used[1]
    }

    /// Blocks across and down, with those that fill up the last units.
    fn all(&self) -> [usize; 2] {
        [0, 1].map(|side| self.units[side] * self.unit[side])
    }
}

/// The coefficients of a colour, in the order of a block's rows.
pub(super) struct Blocks<'a> {
    layout: &'a Layout,
    coefficients: Vec<[i16; 64]>,
}

impl<'a> Blocks<'a> {
    pub(super) fn new(layout: &'a Layout) -> Self {
        let [across, down] = layout.all();
        Blocks { layout, coefficients: vec![[0; 64]; across * down] }
    }

    pub(super) fn at(&mut self, [x, y]: [usize; 2]) -> &mut [i16; 64] {
        &mut self.coefficients[y * self.layout.all()[0] + x]
    }

    /// The samples, by the steps in zigzag order.
    pub(super) fn plane<S: Sample>(self, steps: &[i32; 64]) -> Plane<S> {
        let mut plane = Plane::new(self.layout);
        let mut by_row = [0; 64];
        ZIGZAG.iter().zip(steps).for_each(|(&at, &step)| by_row[usize::from(at)] = step);
        let across = self.layout.all()[0];
        for (at, coefficients) in self.coefficients.iter().enumerate() {
            plane.put(
                [at % across, at / across],
                &std::array::from_fn(|i| i32::from(coefficients[i]) * by_row[i]),
            );
        }
        plane
    }
}

/// The samples of a colour as they are stored.
pub(super) struct Plane<S> {
    samples: Vec<S>,
    across: usize,
}

impl<S: Sample> Plane<S> {
    pub(super) fn new(layout: &Layout) -> Self {
        let [across, down] = layout.all();
        Plane { samples: vec![S::default(); across * down * 64], across: across * 8 }
    }

    /// Writes a block of coefficients times their steps.
    pub(super) fn put(&mut self, [x, y]: [usize; 2], coefficients: &[i32; 64]) {
        let samples = idct::samples::<S>(coefficients);
        for (row, samples) in samples.as_chunks::<8>().0.iter().enumerate() {
            let begin = (y * 8 + row) * self.across + x * 8;
            self.samples[begin..begin + 8].copy_from_slice(samples);
        }
    }

    /// A line of the image; `sums` is room to work in.
    pub(super) fn line(&self, layout: &Layout, row: usize, sums: &mut Vec<i32>, line: &mut [S]) {
        let [width, height] = layout.samples;
        let stored = |row: usize| &self.samples[row * self.across..][..width];
        // Narrow ones are repeated, whatever is above them.
        let smooth = match layout.pixels {
            [1, 2] => true,
            [2, 1 | 2] => width > 2,
            _ => false,
        };
        let [across, down] = layout.pixels;
        if !smooth {
            let stored = stored(row / down);
            if across == 1 {
                return line.copy_from_slice(stored);
            }
            line.chunks_mut(across).zip(stored).for_each(|(pixels, &sample)| pixels.fill(sample));
            return;
        }
        let near = stored(row / down).iter().map(|&sample| -> i32 { sample.into() });
        sums.clear();
        match down {
            1 => sums.extend(near),
            _ => {
                let far = if row.is_multiple_of(2) {
                    (row / 2).saturating_sub(1)
                } else {
                    (row / 2 + 1).min(height - 1)
                };
                sums.extend(near.zip(stored(far)).map(|(near, &far)| 3 * near + { far.into() }));
            }
        }
        if across == 1 {
            let half = if row.is_multiple_of(2) { 1 } else { 2 };
            line.iter_mut()
                .zip(sums)
                .for_each(|(pixel, sum)| *pixel = S::from_value((*sum + half) >> 2));
            return;
        }
        let (left, right, shift) = if down == 1 { (1, 2, 2) } else { (8, 7, 4) };
        for (at, pixels) in line.chunks_mut(2).enumerate() {
            let (before, after) = (sums[at.saturating_sub(1)], sums[(at + 1).min(width - 1)]);
            pixels[0] = S::from_value((3 * sums[at] + before + left) >> shift);
            if let Some(pixel) = pixels.get_mut(1) {
                *pixel = S::from_value((3 * sums[at] + after + right) >> shift);
            }
        }
    }
}
