//! The forward pass: images and adapters in, features out.
//!
//! One *stream* is one image's tokens under one adapter. Rows that ask for the same image begin as
//! one stream and part in the first block where one of their adapters adds something, so that what
//! they share is computed once. Threads share a stream's tokens in the linear layers, and its heads
//! in attention.

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::adapter::Branch;
use super::rollout::{BLOCKS, Rollout};
use super::{Adapter, Block, Linear, Vit, Weight};
use crate::kernel::{self, Activation, Attend, Factor, Int8Rows, LowRank, Panels, layer_norm};
use crate::{Error, memory};

/// How several threads share the work of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Spread {
    /// All work on each layer: one image is classified soonest.
    #[default]
    Layers,
    /// Each takes whole images: most images an hour, where a call has several.
    Images,
}

/// What the base makes of one row.
#[derive(Clone, Debug)]
pub struct Seen {
    pub feature: Vec<f32>,
    /// Where the feature comes from, `[grid, grid]` as [`Rollout::map`] gives it, if that was asked
    /// for.
    pub map: Option<Vec<f32>>,
}

/// The buffers of one stream.
pub(super) struct Stream {
    /// `[tokens, hidden]`: what goes from block to block.
    x: Vec<f32>,
    /// `[tokens, hidden]`: normalised, and attention's output.
    y: Vec<f32>,
    /// q, k, v: `[tokens, hidden]` each.
    pub(super) qkv: [Vec<f32>; 3],
    /// `[heads, tokens, hidden / heads]`
    mixed: Vec<f32>,
    /// `[tokens, mlp]`
    inner: Vec<f32>,
}

/// Streams that run at a time, and that are kept for later: what bounds the memory of a large
/// batch.
pub(super) const STREAMS: usize = 8;

impl Vit {
    /// The feature of each row, an image (planes `[3, side, side]`, normalised) under an adapter;
    /// with `maps` also where it comes from, which changes no bit of the feature. `cancelled` is
    /// asked before each block.
    ///
    /// # Errors
    /// [`Error::Cancelled`] when it says so, [`Error::Memory`].
    pub fn run(
        &self,
        images: &[Vec<f32>],
        rows: &[(usize, &Adapter)],
        maps: bool,
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<Seen>, Error> {
        let all = |rows: &[(usize, &Adapter)], threads| {
            let groups =
                rows.chunks(STREAMS).map(|rows| self.group(images, rows, maps, cancelled, threads));
            groups.collect::<Result<Vec<_>, _>>().map(|groups| groups.concat())
        };
        match &self.threads {
            None => all(rows, 1),
            Some((pool, Spread::Layers)) => pool.install(|| all(rows, pool.current_num_threads())),
            Some((pool, Spread::Images)) => {
                let of_image =
                    |image| (0..rows.len()).filter(|&row| rows[row].0 == image).collect::<Vec<_>>();
                let found: Result<Vec<_>, Error> = pool.install(|| {
                    let images = (0..images.len()).into_par_iter().map(|image| {
                        let numbers = of_image(image);
                        let rows: Vec<_> = numbers.iter().map(|&row| rows[row]).collect();
                        all(&rows, 1).map(|seen| numbers.into_iter().zip(seen).collect::<Vec<_>>())
                    });
                    images.collect()
                });
                let mut numbered = found?.concat();
                numbered.sort_by_key(|(row, _)| *row);
                Ok(numbered.into_iter().map(|(_, seen)| seen).collect())
            }
        }
    }

    fn group(
        &self,
        images: &[Vec<f32>],
        rows: &[(usize, &Adapter)],
        maps: bool,
        cancelled: &(dyn Fn() -> bool + Sync),
        threads: usize,
    ) -> Result<Vec<Seen>, Error> {
        let (hidden, last) = (self.layout.hidden, self.blocks.len() - 1);
        // The row of each stream that says what it computes, and the stream of each row.
        let mut leaders: Vec<usize> = Vec::new();
        let mut stream_of: Vec<usize> = Vec::new();
        let mut streams: Vec<Stream> = Vec::new();
        // Of each stream, if maps are asked for.
        let mut rollouts: Vec<Rollout> = Vec::new();
        for (row, (image, _)) in rows.iter().enumerate() {
            let known = leaders.iter().position(|&leader| rows[leader].0 == *image);
            if known.is_none() {
                leaders.push(row);
                streams.push(self.embed(&images[*image], threads)?);
                rollouts.extend(maps.then(Rollout::default));
            }
            stream_of.push(known.unwrap_or(leaders.len() - 1));
        }
        for number in 0..self.blocks.len() {
            if cancelled() {
                self.give_back(streams);
                return Err(Error::Cancelled);
            }
            for row in 0..rows.len() {
                if self.parts(number, rows[row].1, rows[leaders[stream_of[row]]].1) {
                    let alike = |stream: &usize| {
                        let leader = rows[leaders[*stream]];
                        leader.0 == rows[row].0 && !self.parts(number, rows[row].1, leader.1)
                    };
                    let known = (0..leaders.len()).find(alike);
                    if known.is_none() {
                        let mut stream = self.spare()?;
                        stream.x.copy_from_slice(&streams[stream_of[row]].x);
                        streams.push(stream);
                        leaders.push(row);
                        rollouts.extend(rollouts.get(stream_of[row]).cloned());
                    }
                    stream_of[row] = known.unwrap_or(leaders.len() - 1);
                }
            }
            let adapters: Vec<_> =
                leaders.iter().map(|&leader| &rows[leader].1.blocks[number]).collect();
            self.block(&self.blocks[number], &mut streams, &adapters, number == last, threads);
            for (rollout, stream) in
                rollouts.iter_mut().zip(&streams).filter(|_| number + BLOCKS > last)
            {
                rollout.push(self.attended(
                    stream,
                    if number == last { 1 } else { self.tokens() },
                    threads,
                )?);
            }
        }
        let mut seen = Vec::with_capacity(streams.len());
        for (index, (stream, leader)) in streams.iter().zip(leaders).enumerate() {
            let mut feature = vec![0.0; hidden];
            let norm = &self.norm;
            layer_norm(
                self.level,
                &stream.x[..hidden],
                &norm.weight,
                &norm.bias,
                self.layout.epsilon,
                &mut feature,
            );
            if let Some(projection) = &self.projection {
                let mut projected = vec![0.0; projection.shape().1];
                let input = self.input(projection, &feature);
                self.linear(
                    projection,
                    rows[leader].1.projection.as_ref(),
                    &input,
                    After::default(),
                    &mut projected,
                );
                feature = projected;
            }
            seen.push(Seen { feature, map: rollouts.get(index).map(Rollout::map) });
        }
        self.give_back(streams);
        Ok(stream_of.iter().map(|&stream| seen[stream].clone()).collect())
    }

    /// Whether two adapters part in this block at the latest.
    fn parts(&self, number: usize, one: &Adapter, other: &Adapter) -> bool {
        !std::ptr::eq(one, other) && one.first.min(other.first) <= number
    }

    fn block(
        &self,
        block: &Block,
        streams: &mut [Stream],
        adapters: &[&[Option<Branch>; 6]],
        last: bool,
        threads: usize,
    ) {
        let (hidden, tokens) = (self.layout.hidden, self.tokens());
        let width = hidden / self.layout.heads;
        let shares = self.shares(streams.len(), threads);
        let each = tokens.div_ceil(shares) * hidden;
        let asked = if last { 1 } else { tokens };

        let mut work = Vec::new();
        for (stream, adapter) in streams.iter_mut().zip(adapters) {
            let [q, k, v] = &mut stream.qkv;
            let keys = k.chunks_mut(each).zip(v.chunks_mut(each));
            let parts = stream
                .x
                .chunks(each)
                .zip(stream.y.chunks_mut(each))
                .zip(q.chunks_mut(each))
                .zip(keys);
            work.extend(
                parts
                    .enumerate()
                    .map(|(part, (((x, y), q), (k, v)))| (adapter, part, x, y, [q, k, v])),
            );
        }
        spread(threads, work, |(adapter, part, x, y, qkv)| {
            layer_norm(
                self.level,
                x,
                &block.norm1.weight,
                &block.norm1.bias,
                self.layout.epsilon,
                y,
            );
            let all = self.input(&block.qkv[0], y);
            for (index, out) in qkv.into_iter().enumerate() {
                let cls;
                // In the last block only the CLS row asks.
                let input = match (last && index == 0, part) {
                    (false, _) => &all,
                    (true, 0) => {
                        cls = self.input(&block.qkv[0], &y[..hidden]);
                        &cls
                    }
                    (true, _) => continue,
                };
                let out = &mut out[..input.x.len()];
                self.linear(
                    &block.qkv[index],
                    adapter[index].as_ref(),
                    input,
                    After::default(),
                    out,
                );
            }
        });

        let mut work = Vec::new();
        for stream in streams.iter_mut() {
            let [q, k, v] = &stream.qkv;
            let heads = stream.mixed.chunks_mut(tokens * width).enumerate();
            work.extend(heads.map(|(head, out)| {
                (&q[head * width..], &k[head * width..], &v[head * width..], out)
            }));
        }
        spread(threads, work, |(q, k, v, out)| {
            let (mut keys, mut values) = (
                Panels::zeros(self.level, width, tokens),
                Panels::zeros(self.level, tokens, width),
            );
            keys.fill_transposed(k, hidden);
            values.fill(v, hidden);
            let scale = self.layout.scale;
            self.level.run(Attend {
                q,
                q_stride: hidden,
                queries: asked,
                scale,
                keys: &keys,
                values: &values,
                out,
            });
        });

        let inner = block.fc1.shape().1;
        let mut work = Vec::new();
        for (stream, adapter) in streams.iter_mut().zip(adapters) {
            let parts = stream.x[..asked * hidden].chunks_mut(each).zip(stream.y.chunks_mut(each));
            let parts = parts.zip(stream.inner.chunks_mut(each / hidden * inner)).enumerate();
            work.extend(parts.map(|(part, ((x, y), inner))| {
                (adapter, part * (each / hidden), &stream.mixed, x, y, inner)
            }));
        }
        spread(threads, work, |(adapter, first, mixed, x, y, buffer)| {
            let rows = x.len() / hidden;
            let (y, buffer) = (&mut y[..rows * hidden], &mut buffer[..rows * inner]);
            for (row, y) in y.chunks_exact_mut(hidden).enumerate() {
                for (head, y) in y.chunks_exact_mut(width).enumerate() {
                    y.copy_from_slice(&mixed[(head * tokens + first + row) * width..][..width]);
                }
            }
            let after = |scale| After { scale, add: true, ..After::default() };
            self.linear(
                &block.o,
                adapter[3].as_ref(),
                &self.input(&block.o, y),
                after(block.scale1.as_deref()),
                x,
            );
            layer_norm(
                self.level,
                x,
                &block.norm2.weight,
                &block.norm2.bias,
                self.layout.epsilon,
                y,
            );
            let activation = After { activation: self.layout.activation, ..After::default() };
            self.linear(
                &block.fc1,
                adapter[4].as_ref(),
                &self.input(&block.fc1, y),
                activation,
                buffer,
            );
            self.linear(
                &block.fc2,
                adapter[5].as_ref(),
                &self.input(&block.fc2, buffer),
                after(block.scale2.as_deref()),
                x,
            );
        });
    }

    /// `x` as `linear` takes it.
    fn input<'a>(&self, linear: &Linear, x: &'a [f32]) -> Input<'a> {
        let rounded = match &linear.weight {
            Weight::Full(_) => None,
            Weight::Int8(panels) => Some(Int8Rows::new(self.level, x, panels.k)),
        };
        Input { x, rounded }
    }

    /// `x W (+ (x A) B) (* g) + b` and what comes after.
    fn linear(
        &self,
        linear: &Linear,
        branch: Option<&Branch>,
        input: &Input,
        after: After,
        out: &mut [f32],
    ) {
        let (k, n) = linear.shape();
        let (x, rows) = (input.x, input.x.len() / k);
        let low = branch.map(|branch| {
            let mut low = vec![0.0; rows * branch.a.n];
            self.level.run(kernel::Linear::product(x, rows, &branch.a, &mut low));
            low
        });
        let low = low.as_ref().zip(branch).map(|(values, branch)| LowRank { values, b: &branch.b });
        let product;
        let weight = match (&linear.weight, &input.rounded) {
            (Weight::Full(panels), _) => Factor::Panels(panels),
            (Weight::Int8(_), None) => {
                unreachable!("an input is rounded for the layer that it is made for")
            }
            (Weight::Int8(panels), Some(rounded)) => {
                product = panels.product(self.level, rounded);
                Factor::Product { values: &product, n }
            }
        };
        self.level.run(kernel::Linear {
            x,
            x_stride: k,
            rows,
            weight,
            low,
            magnitude_scale: branch.and_then(|branch| branch.magnitude_scale.as_deref()),
            bias: linear.bias.as_deref(),
            activation: after.activation,
            layer_scale: after.scale,
            add: after.add,
            out,
            out_stride: n,
        });
    }

    /// CLS and patches with their positions.
    fn embed(&self, pixels: &[f32], threads: usize) -> Result<Stream, Error> {
        let (hidden, patch, grid) = (self.layout.hidden, self.layout.patch, self.layout.grid);
        let (area, side) = (3 * patch * patch, grid * patch);
        let mut stream = self.spare()?;
        let mut cut = memory::floats(grid * grid * area, "an image's patches")?;
        for (index, row) in cut.chunks_exact_mut(area).enumerate() {
            let (top, left) = (index / grid * patch, index % grid * patch);
            for (line, values) in row.chunks_exact_mut(patch).enumerate() {
                let (channel, y) = (line / patch, line % patch);
                values
                    .copy_from_slice(&pixels[(channel * side + top + y) * side + left..][..patch]);
            }
        }
        stream.x.copy_from_slice(&self.positions);
        let (cls, patches) = stream.x.split_at_mut(hidden);
        cls.iter_mut().zip(&self.cls).for_each(|(x, cls)| *x += cls);
        let shares = self.shares(1, threads);
        let each = (grid * grid).div_ceil(shares);
        let work: Vec<_> = cut.chunks(each * area).zip(patches.chunks_mut(each * hidden)).collect();
        spread(threads, work, |(cut, out)| {
            let product = kernel::Linear::product(cut, cut.len() / area, &self.patch, out);
            self.level.run(kernel::Linear {
                bias: self.patch_bias.as_deref(),
                add: true,
                ..product
            });
        });
        if let Some(norm) = &self.pre_norm {
            layer_norm(
                self.level,
                &stream.x,
                &norm.weight,
                &norm.bias,
                self.layout.epsilon,
                &mut stream.y,
            );
            std::mem::swap(&mut stream.x, &mut stream.y);
        }
        Ok(stream)
    }

    /// Into how many parts the tokens of each of `streams` are divided, so that all threads have as
    /// much to do.
    fn shares(&self, streams: usize, threads: usize) -> usize {
        if streams.is_multiple_of(threads) { 1 } else { threads.min(self.tokens()) }
    }

    fn spare(&self) -> Result<Stream, Error> {
        if let Some(stream) = self.spare.lock().ok().and_then(|mut spare| spare.pop()) {
            return Ok(stream);
        }
        let buffer = |width: usize| memory::floats(self.tokens() * width, "an image's activations");
        let hidden = self.layout.hidden;
        let inner = self.blocks.iter().map(|block| block.fc1.shape().1).max().unwrap_or(0);
        let qkv = [buffer(hidden)?, buffer(hidden)?, buffer(hidden)?];
        Ok(Stream {
            x: buffer(hidden)?,
            y: buffer(hidden)?,
            qkv,
            mixed: buffer(hidden)?,
            inner: buffer(inner)?,
        })
    }

    fn give_back(&self, streams: Vec<Stream>) {
        if let Ok(mut spare) = self.spare.lock() {
            spare.extend(streams);
            spare.truncate(STREAMS);
        }
    }
}

/// Does `work`, on the threads of the pool that this runs in if it may use several.
pub(super) fn spread<T: Send>(threads: usize, work: Vec<T>, each: impl Fn(T) + Sync + Send) {
    match threads {
        1 => work.into_iter().for_each(each),
        _ => work.into_par_iter().for_each(each),
    }
}

/// Rows that go into linear layers.
struct Input<'a> {
    x: &'a [f32],
    /// For layers in eight bits.
    rounded: Option<Int8Rows>,
}

/// What follows a linear layer.
#[derive(Default)]
struct After<'a> {
    activation: Activation,
    scale: Option<&'a [f32]>,
    add: bool,
}

impl Stream {
    pub fn bytes(&self) -> usize {
        let [q, k, v] = &self.qkv;
        [&self.x, &self.y, q, k, v, &self.mixed, &self.inner]
            .iter()
            .map(|buffer| size_of_val(buffer.as_slice()))
            .sum()
    }
}
