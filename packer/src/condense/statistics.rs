//! What is matched of an image: its feature and, at some blocks, mean and deviation of its patches.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::base::{VitConfig, Weights, forward_with_tokens};
use crate::data::Images;
use crate::device::{Device, ImageSize};
use crate::predict;
use crate::tape::{LowRank, Tape, Tensor, Var};
use crate::{Error, interrupt};

use super::cluster::mean;
use super::view::View;

/// Added to the variance over tokens, so that the deviation of equal tokens has a gradient.
const EPSILON: f64 = 1e-6;

/// Where statistics are taken, and how a row of them is laid out: the feature, then per block the
/// means and the deviations.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Blocks whose tokens are looked at, ascending, counted from 0.
    pub blocks: Vec<usize>,
    /// Width of a token.
    pub hidden: usize,
    /// Width of the feature.
    pub features: usize,
}

/// A base with low-rank branches on a device.
pub struct Network<'a, D: Device> {
    pub weights: &'a Weights<D>,
    pub sites: BTreeMap<String, LowRank<D>>,
}

impl Layout {
    /// Of `count` blocks, evenly spread, the last among them.
    pub fn spread(config: &VitConfig, count: usize) -> Layout {
        let count = count.min(config.layers);
        let blocks = (1..=count).map(|i| (i * config.layers).div_ceil(count) - 1).collect();
        Layout { blocks, hidden: config.hidden, features: config.features() }
    }

    /// Values of a row.
    pub fn width(&self) -> usize {
        self.features + 2 * self.hidden * self.blocks.len()
    }

    /// The columns of each part of a row: the feature, then of each block the means and the
    /// deviations.
    pub fn parts(&self) -> impl Iterator<Item = Range<usize>> {
        let (first, each) = (self.features, self.hidden);
        let rest =
            (0..2 * self.blocks.len()).map(move |i| first + i * each..first + (i + 1) * each);
        std::iter::once(0..first).chain(rest)
    }
}

impl<D: Device + 'static> Network<'_, D> {
    /// The results on `tape` that hold the statistics of `images` [n, 3*size*size] seen through
    /// `view`: the feature [n, features], then per block [n, 2*hidden].
    pub fn see(
        &self,
        device: &D,
        tape: &Tape<D>,
        images: &Var<D>,
        view: &View,
        layout: &Layout,
    ) -> Vec<Var<D>> {
        let side = self.weights.image_size;
        let size = ImageSize { batch: images.value.rows, height: side, width: side };
        let seen = view.of(tape, images, size);
        let (feature, tokens) =
            forward_with_tokens(tape, self.weights, &self.sites, device, &seen, &layout.blocks);
        let patches = self.weights.shape().patches();
        let moments = tokens.iter().map(|x| tape.token_moments(x, patches.clone(), EPSILON));
        [feature].into_iter().chain(moments).collect()
    }

    /// The statistics of normalised pixels [n, 3, size, size] through `view`, row by row.
    pub fn rows(
        &self,
        device: &D,
        pixels: &[f32],
        view: &View,
        layout: &Layout,
    ) -> Result<Vec<f32>, Error> {
        let each = 3 * self.weights.image_size.pow(2);
        let images = Var::constant(Tensor::new(device, pixels, pixels.len() / each, each));
        let results = self.see(device, &Tape::new(device), &images, view, layout);
        let parts = results
            .iter()
            .map(|r| device.download(&r.value.buffer))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(interleave(&parts, pixels.len() / each))
    }

    /// The statistics of `images` through `view`, one row each.
    pub fn rows_of(
        &self,
        device: &D,
        images: &Images,
        indices: &[usize],
        view: &View,
        layout: &Layout,
    ) -> Result<Vec<f32>, Error> {
        let mut rows = Vec::with_capacity(indices.len() * layout.width());
        let mut pixels = Vec::new();
        let batch = predict::batch(device, &self.weights.config, self.weights.image_size);
        for indices in indices.chunks(batch) {
            interrupt::check()?;
            images.batch(indices, None, &mut pixels)?;
            rows.extend(self.rows(device, &pixels, view, layout)?);
        }
        Ok(rows)
    }
}

/// Rows [n, sum of widths] from matrices of n rows each.
pub fn interleave(parts: &[Vec<f32>], n: usize) -> Vec<f32> {
    let mut rows = Vec::with_capacity(parts.iter().map(Vec::len).sum());
    for i in 0..n {
        for part in parts {
            let width = part.len() / n;
            rows.extend_from_slice(&part[i * width..][..width]);
        }
    }
    rows
}

/// The matrices that [`interleave`] made `rows` of: the feature's columns, then 2*hidden for each
/// block.
pub fn separate(rows: &[f32], layout: &Layout) -> Vec<Vec<f32>> {
    let cuts = (0..=layout.blocks.len()).map(|i| match i {
        0 => 0..layout.features,
        i => layout.features + (2 * i - 2) * layout.hidden..layout.features + 2 * i * layout.hidden,
    });
    cuts.map(|cut| {
        rows.chunks_exact(layout.width()).flat_map(|row| &row[cut.clone()]).copied().collect()
    })
    .collect()
}

/// 1 / deviation from sums of squares over `n` rows; a deviation counts for at least a twentieth of
/// the columns' average.
pub fn precision(square: &[f64], n: usize) -> Vec<f32> {
    let deviations: Vec<f64> = square.iter().map(|s| (s / n as f64).sqrt()).collect();
    let least = 0.05 * deviations.iter().sum::<f64>() / deviations.len() as f64;
    deviations.iter().map(|d| (1.0 / d.max(least).max(1e-9)) as f32).collect()
}

/// Mean and deviation of each column, the deviation never much smaller than the average one.
pub fn moments(rows: &[f32], width: usize) -> [Vec<f32>; 2] {
    let centre = mean(rows.chunks_exact(width)).unwrap_or_default();
    let mut square = vec![0f64; width];
    for row in rows.chunks_exact(width) {
        square
            .iter_mut()
            .zip(row.iter().zip(&centre))
            .for_each(|(s, (v, c))| *s += f64::from(v - c).powi(2));
    }
    let deviation = precision(&square, rows.len() / width).iter().map(|p| 1.0 / p).collect();
    [centre, deviation]
}
