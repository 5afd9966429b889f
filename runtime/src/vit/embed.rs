//! From pixels to tokens.

use super::linear::After;
use super::stream::{Stream, spread};
use super::transformer::Vit;
use crate::kernel::Store;
use crate::{Error, memory};

impl Vit {
    /// The tokens of an image (planes `[3, side, side]`) with their positions.
    pub(super) fn embed(&self, pixels: &[f32], threads: usize) -> Result<Stream, Error> {
        let (shape, weights) = (&self.shape, &self.weights);
        let (hidden, area, patches) = (shape.hidden, shape.patch_values(), shape.patches());
        let mut stream = self.stream()?;
        let cut = self.cut(pixels)?;
        stream.x.copy_from_slice(&weights.start);
        let rest = &mut stream.x[patches.start * hidden..];
        let each = patches.len().div_ceil(self.pieces(1, threads));
        let work: Vec<_> = cut.chunks(each * area).zip(rest.chunks_mut(each * hidden)).collect();
        spread(threads, work, |(cut, out)| {
            let after = After { store: Store::Add, ..After::default() };
            self.linear(&weights.patch, None, &self.input(&weights.patch, cut), after, out);
        });
        if let Some(norm) = &weights.first_norm {
            self.normalise(norm, &stream.x, &mut stream.y);
            std::mem::swap(&mut stream.x, &mut stream.y);
        }
        Ok(stream)
    }

    /// An image's patches, `[patches, patch values]`: by channel, then from the top.
    fn cut(&self, pixels: &[f32]) -> Result<Vec<f32>, Error> {
        let (patch, grid, side) = (self.shape.patch, self.shape.grid, self.shape.side());
        let area = self.shape.patch_values();
        let mut cut = memory::floats(self.shape.patches().len() * area, "an image's patches")?;
        for (index, row) in cut.chunks_exact_mut(area).enumerate() {
            let (top, left) = (index / grid * patch, index % grid * patch);
            for (line, values) in row.chunks_exact_mut(patch).enumerate() {
                let (channel, y) = (line / patch, line % patch);
                let from = (channel * side + top + y) * side + left;
                values.copy_from_slice(&pixels[from..][..patch]);
            }
        }
        Ok(cut)
    }

    /// How many tokens of each of `streams` are worked on together, so that all threads have as
    /// much to do.
    pub(super) fn each(&self, streams: usize, threads: usize) -> usize {
        self.shape.tokens().div_ceil(self.pieces(streams, threads))
    }

    /// Into how many pieces the tokens of each of `streams` are divided.
    fn pieces(&self, streams: usize, threads: usize) -> usize {
        if streams.is_multiple_of(threads) { 1 } else { threads.min(self.shape.tokens()) }
    }
}
