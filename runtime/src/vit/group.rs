//! Rows that go through the blocks together.
//!
//! A *stream* is one image's tokens under one adapter. Rows of the same image begin as one stream.
//! They part in the first block where one of their adapters adds something, so what they have in
//! common is computed once.

use super::adapter::Adapter;
use super::block::Pass;
use super::rollout::{BLOCKS, Rollout};
use super::stream::Stream;
use super::transformer::Vit;
use crate::Error;

/// What the base makes of one row.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    pub feature: Vec<f32>,
    /// Where the feature comes from, `[grid, grid]`, if that was asked for.
    pub map: Option<Vec<f32>>,
}

/// Rows on their way, each an index into the images and an adapter.
pub(super) struct Group<'a> {
    vit: &'a Vit,
    rows: &'a [(usize, &'a Adapter)],
    threads: usize,
    streams: Vec<Stream>,
    /// By stream: the row that says what it computes.
    leaders: Vec<usize>,
    /// By row.
    stream_of: Vec<usize>,
    /// By stream, if maps are asked for.
    rollouts: Vec<Rollout>,
}

impl<'a> Group<'a> {
    /// Embeds the images of `rows`.
    ///
    /// # Errors
    /// [`Error::Memory`].
    pub fn begin(
        vit: &'a Vit,
        images: &[Vec<f32>],
        rows: &'a [(usize, &'a Adapter)],
        maps: bool,
        threads: usize,
    ) -> Result<Self, Error> {
        let (streams, leaders, stream_of) = (Vec::new(), Vec::new(), Vec::new());
        let rollouts = Vec::new();
        let mut group = Group { vit, rows, threads, streams, leaders, stream_of, rollouts };
        for (row, (image, _)) in rows.iter().enumerate() {
            let known = group.leaders.iter().position(|&leader| rows[leader].0 == *image);
            if known.is_none() {
                group.leaders.push(row);
                group.streams.push(vit.embed(&images[*image], threads)?);
                group.rollouts.extend(maps.then(|| Rollout::new(&vit.shape)));
            }
            group.stream_of.push(known.unwrap_or(group.leaders.len() - 1));
        }
        Ok(group)
    }

    /// Takes the rows through all blocks, unless `cancelled` says so before one.
    ///
    /// # Errors
    /// [`Error::Cancelled`], [`Error::Memory`].
    pub fn outputs(mut self, cancelled: &dyn Fn() -> bool) -> Result<Vec<Output>, Error> {
        for number in 0..self.vit.weights.blocks.len() {
            if cancelled() {
                self.vit.keep(self.streams);
                return Err(Error::Cancelled);
            }
            self.part(number)?;
            self.block(number)?;
        }
        let adapters: Vec<_> = self.leaders.iter().map(|&leader| self.rows[leader].1).collect();
        let features = self.vit.features(&mut self.streams, &adapters, self.threads);
        let mut outputs = Vec::new();
        for (index, feature) in features.into_iter().enumerate() {
            let map = match self.rollouts.get(index) {
                Some(rollout) => {
                    Some(rollout.map(self.vit.pooled_from(&self.streams[index], self.threads)?))
                }
                None => None,
            };
            outputs.push(Output { feature, map });
        }
        self.vit.keep(self.streams);
        Ok(self.stream_of.iter().map(|&stream| outputs[stream].clone()).collect())
    }

    /// Gives a stream to each row whose adapter parts from its stream's in this block.
    fn part(&mut self, number: usize) -> Result<(), Error> {
        for (row, (image, adapter)) in self.rows.iter().enumerate() {
            let own = self.stream_of[row];
            if !adapter.parts(number, self.rows[self.leaders[own]].1) {
                continue;
            }
            let alike = |leader: &usize| {
                let (other, leading) = self.rows[*leader];
                other == *image && !adapter.parts(number, leading)
            };
            let known = self.leaders.iter().position(alike);
            if known.is_none() {
                let mut stream = self.vit.stream()?;
                stream.x.copy_from_slice(&self.streams[own].x);
                self.streams.push(stream);
                self.leaders.push(row);
                self.rollouts.extend(self.rollouts.get(own).cloned());
            }
            self.stream_of[row] = known.unwrap_or(self.leaders.len() - 1);
        }
        Ok(())
    }

    fn block(&mut self, number: usize) -> Result<(), Error> {
        let Group { vit, rows, threads, .. } = *self;
        let blocks = &vit.weights.blocks;
        let asked = vit.shape.asked(number + 1 == blocks.len());
        let adapters: Vec<_> =
            self.leaders.iter().map(|&leader| &rows[leader].1.blocks[number]).collect();
        let pass = Pass { vit, block: &blocks[number], adapters: &adapters, asked, threads };
        pass.run(&mut self.streams);
        if number + BLOCKS >= blocks.len() {
            for (rollout, stream) in self.rollouts.iter_mut().zip(&self.streams) {
                rollout.push(vit.attended(stream, vit.shape.heads, asked, threads)?);
            }
        }
        Ok(())
    }
}
