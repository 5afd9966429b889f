//! The `gpu` device: WGSL compute shaders through wgpu, on Vulkan, Metal or DX12.
//!
//! Work is recorded, not done. [`Device::submit`] hands it to the driver; [`Device::download`]
//! waits for it, and reports whatever went wrong. With `Element::F16` frozen weights and
//! activations are kept in f16. Sums, statistics, trained weights, their gradients and moments stay
//! f32, and losses are scaled so that small gradients survive.
//!
//! [`Device::submit`]: super::Device::submit
//! [`Device::download`]: super::Device::download

use std::sync::Arc;

use medforge_shaders::Element;

use crate::Error;

use super::adapter::Adapter;

mod adapter;
mod attention;
mod buffers;
mod call;
mod device;
mod elementwise;
mod embed;
mod engine;
mod fault;
pub mod forms;
mod image;
mod lists;
mod matmul;
mod memory;
mod norm;
mod optimiser;
mod pipelines;
mod pool;
mod profile;
mod read;
#[cfg(test)]
mod tests;
mod tokens;
mod tuning;

pub use call::Call;
pub use engine::Engine;
pub use medforge_shaders::Kernel;
pub use pool::Chunk;
pub use profile::Record;
pub use tuning::{Tile, Tuning};

type Buffer = Arc<Chunk>;

/// An adapter as a device.
#[derive(Clone)]
pub struct Gpu {
    engine: Arc<Engine>,
    /// The loss scaler's state, with f16.
    scaler: Option<Buffer>,
}

/// How to open an adapter.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// The adapter's place in the list of all; the best one if there is none.
    pub number: Option<usize>,
    /// Frozen weights and activations in f16.
    pub half: bool,
    /// Bytes that may be used; all there are if there is none.
    pub budget: Option<u64>,
    /// Other forms of the kernels than the adapter would get.
    pub tuning: Option<Tuning>,
    /// Fresh buffers are full of NaN, so that a value left unwritten is seen. For tests.
    pub poison: bool,
}

/// Every adapter, the best first.
pub fn adapters() -> Vec<Adapter> {
    adapter::found().into_iter().map(|(description, _)| description).collect()
}

/// The loss scale to start with.
const SCALE: f32 = 65536.0;

impl Gpu {
    pub fn open(options: Options) -> Result<Self, Error> {
        let (description, adapter) = adapter::choose(options.number)?;
        if options.half && !description.shader_f16 {
            let what = "it has no f16 arithmetic in shaders; leave the precision at f32".into();
            return Err(Error::AdapterUnusable { adapter: description.name, what });
        }
        let tuning = options.tuning.unwrap_or_else(|| Tuning::of(&description));
        let precision = if options.half { Element::F16 } else { Element::F32 };
        let budget = options.budget.or(description.memory);
        let engine = Arc::new(Engine::open(
            (description, adapter),
            tuning,
            precision,
            budget,
            options.poison,
        )?);
        let state = [SCALE.to_bits(), 0, 0, 0];
        let scaler =
            options.half.then(|| engine.upload(bytemuck::cast_slice(&state), 4, Element::F32));
        Ok(Gpu { engine, scaler })
    }

    /// The queue, its adapter and its counts.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// A buffer to write that nobody else holds: a copy where somebody does.
    fn own<'a>(&self, buffer: &'a mut Buffer) -> &'a Chunk {
        if Arc::get_mut(buffer).is_none() {
            *buffer = self.engine.convert(buffer, buffer.element);
        }
        buffer
    }

    /// Indices or other four-byte values.
    fn words<T: bytemuck::NoUninit>(&self, values: &[T]) -> Buffer {
        self.engine.upload(bytemuck::cast_slice(values), size_of_val(values) / 4, Element::F32)
    }
}
