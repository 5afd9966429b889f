//! What is asked of an engine: a kernel, its settings, its buffers.

use medforge_shaders::{Kernel, KernelSettings};

use super::pool::Chunk;

/// One use of a kernel.
pub struct Call<'a> {
    pub kernel: &'static Kernel,
    pub settings: KernelSettings<'a>,
    /// Values of the kernel's parameters; floats by their bits.
    pub params: &'a [u32],
    /// In the order of the bindings.
    pub buffers: &'a [&'a Chunk],
    pub groups: [u32; 3],
    /// Floating-point operations, for the profile.
    pub operations: u64,
}
