//! The buffers that one image goes through the blocks in, and how threads share the work.

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::shape::Shape;
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

/// The buffers of one stream: one image's tokens under one adapter.
pub(super) struct Stream {
    /// `[tokens, hidden]`: what goes from block to block.
    pub x: Vec<f32>,
    /// `[tokens, hidden]`: normalised, and attention's output.
    pub y: Vec<f32>,
    /// q, k, v: `[tokens, hidden]` each.
    pub qkv: [Vec<f32>; 3],
    /// `[heads, tokens, hidden / heads]`
    pub mixed: Vec<f32>,
    /// `[tokens, mlp]`
    pub inner: Vec<f32>,
}

/// Most streams that run at a time, and that are kept for later. They bound the memory of a large
/// batch.
pub(super) const STREAMS: usize = 8;

impl Stream {
    /// Room for an image of a network of this shape.
    ///
    /// # Errors
    /// [`Error::Memory`].
    pub fn new(shape: &Shape) -> Result<Self, Error> {
        let tokens = shape.tokens();
        let buffer = |width: usize| memory::floats(tokens * width, "an image's activations");
        let hidden = || buffer(shape.hidden);
        Ok(Stream {
            x: hidden()?,
            y: hidden()?,
            qkv: [hidden()?, hidden()?, hidden()?],
            mixed: hidden()?,
            inner: buffer(shape.mlp.width)?,
        })
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        let [q, k, v] = &self.qkv;
        let buffers = [&self.x, &self.y, q, k, v, &self.mixed, &self.inner];
        buffers.iter().map(|buffer| size_of_val(buffer.as_slice())).sum()
    }
}

/// Does `work`, on the threads of the pool that this runs in if it may use several.
pub(super) fn spread<T: Send>(threads: usize, work: Vec<T>, each: impl Fn(T) + Sync + Send) {
    match threads {
        1 => work.into_iter().for_each(each),
        _ => work.into_par_iter().for_each(each),
    }
}
