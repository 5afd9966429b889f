//! From the tokens that the last block leaves to the feature.

use std::ops::Range;

use super::adapter::Adapter;
use super::linear::After;
use super::shape::Pooling;
use super::site::Layer;
use super::stream::{Stream, spread};
use super::transformer::Vit;
use super::weights::{Norm, Pool};
use crate::kernel::Store;

impl Vit {
    /// The feature of each stream under its adapter: its tokens pooled, and projected where the
    /// network has a projection.
    pub(super) fn features(
        &self,
        streams: &mut [Stream],
        adapters: &[&Adapter],
        threads: usize,
    ) -> Vec<Vec<f32>> {
        let pooled = self.pooled(streams, adapters, threads);
        let Some(projection) = &self.weights.projection else { return pooled };
        let project = |(pooled, adapter): (&Vec<f32>, &&Adapter)| {
            let mut feature = vec![0.0; self.shape.feature()];
            let (branch, input) = (adapter.projection.as_ref(), self.input(projection, pooled));
            self.linear(projection, branch, &input, After::default(), &mut feature);
            feature
        };
        pooled.iter().zip(adapters).map(project).collect()
    }

    fn pooled(
        &self,
        streams: &mut [Stream],
        adapters: &[&Adapter],
        threads: usize,
    ) -> Vec<Vec<f32>> {
        let (hidden, norm) = (self.shape.hidden, &self.weights.norm);
        if let Some(pool) = &self.weights.pool {
            return self.attended_by_probe(pool, streams, adapters, threads);
        }
        if matches!(self.shape.pooling, Pooling::Mean | Pooling::ClassMean) {
            self.normalise_all(streams, threads);
        }
        let one = |stream: &Stream| match self.shape.pooling {
            Pooling::NormOfMean => self.normalised(norm, &self.mean(&stream.x)),
            Pooling::Mean => self.mean(&stream.y),
            Pooling::ClassMean => [&stream.y[..hidden], &self.mean(&stream.y)[..]].concat(),
            Pooling::Class | Pooling::Attention { .. } => {
                self.normalised(norm, &stream.x[..hidden])
            }
        };
        streams.iter().map(one).collect()
    }

    /// The last norm of all tokens, into `y`.
    fn normalise_all(&self, streams: &mut [Stream], threads: usize) {
        let each = self.each(streams.len(), threads) * self.shape.hidden;
        let mut work = Vec::new();
        for stream in streams.iter_mut() {
            work.extend(stream.x.chunks(each).zip(stream.y.chunks_mut(each)));
        }
        spread(threads, work, |(x, y)| self.normalise(&self.weights.norm, x, y));
    }

    fn normalised(&self, norm: &Norm, row: &[f32]) -> Vec<f32> {
        let mut out = vec![0.0; row.len()];
        self.normalise(norm, row, &mut out);
        out
    }

    /// The mean of the rows of patches.
    fn mean(&self, rows: &[f32]) -> Vec<f32> {
        let hidden = self.shape.hidden;
        let Range { start, end } = self.shape.patches();
        let mut sums = vec![0.0_f64; hidden];
        for row in rows[start * hidden..end * hidden].chunks_exact(hidden) {
            sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
        }
        sums.iter().map(|sum| (sum / (end - start) as f64) as f32).collect()
    }

    /// What the learned query mixes of each stream's tokens, with the MLP of that added. Its query
    /// and keys stay in the stream's buffers.
    fn attended_by_probe(
        &self,
        pool: &Pool,
        streams: &mut [Stream],
        adapters: &[&Adapter],
        threads: usize,
    ) -> Vec<Vec<f32>> {
        let Pooling::Attention { heads, mlp } = self.shape.pooling else { return Vec::new() };
        let hidden = self.shape.hidden;
        self.keys_and_values(pool, streams, adapters, threads);
        self.attend(streams, heads, 1, threads);
        let mut features = vec![vec![0.0; hidden]; streams.len()];
        let work: Vec<_> = streams.iter_mut().zip(adapters).zip(&mut features).collect();
        spread(threads, work, |((stream, adapter), feature)| {
            let row = &mut stream.y[..hidden];
            self.merge(&stream.mixed, heads, 0, row);
            let linear = |layer: Layer, x: &[f32], after: After, out: &mut [f32]| {
                let (linear, branch) = (&pool.linears[layer], adapter.pool[layer].as_ref());
                self.linear(linear, branch, &self.input(linear, x), after, out);
            };
            linear(Layer::O, row, After::default(), feature);
            self.normalise(&pool.norm, feature, row);
            let (mut inner, activation) = (vec![0.0; mlp], self.shape.mlp.activation.into());
            linear(Layer::Fc1, row, After { activation, ..After::default() }, &mut inner);
            linear(Layer::Fc2, &inner, After { store: Store::Add, ..After::default() }, feature);
        });
        features
    }

    /// The last norm of all tokens, their keys and values, and the one query.
    fn keys_and_values(
        &self,
        pool: &Pool,
        streams: &mut [Stream],
        adapters: &[&Adapter],
        threads: usize,
    ) {
        let hidden = self.shape.hidden;
        let each = self.each(streams.len(), threads) * hidden;
        let linear = |adapter: &Adapter, layer: Layer, x: &[f32], out: &mut [f32]| {
            let (linear, branch) = (&pool.linears[layer], adapter.pool[layer].as_ref());
            self.linear(linear, branch, &self.input(linear, x), After::default(), out);
        };
        let mut work = Vec::new();
        for (stream, &adapter) in streams.iter_mut().zip(adapters) {
            let [q, k, v] = &mut stream.qkv;
            linear(adapter, Layer::Q, &pool.probe, &mut q[..hidden]);
            let keys = k.chunks_mut(each).zip(v.chunks_mut(each));
            let rows = stream.x.chunks(each).zip(stream.y.chunks_mut(each));
            work.extend(rows.zip(keys).map(|rows| (adapter, rows)));
        }
        spread(threads, work, |(adapter, ((x, y), (k, v)))| {
            self.normalise(&self.weights.norm, x, y);
            linear(adapter, Layer::K, y, k);
            linear(adapter, Layer::V, y, v);
        });
    }
}
