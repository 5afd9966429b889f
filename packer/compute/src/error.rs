//! What can go wrong while something is computed: one variant per cause.

/// Why a device or the source of random numbers gave up. The text is one sentence.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No adapter, or none of that number.
    #[error(
        "{wanted}: {found}; install the GPU's driver (Vulkan, Metal or DX12), or compute on the \
         processor"
    )]
    NoAdapter { wanted: String, found: String },
    /// An adapter without what the kernels need.
    #[error(
        "the GPU {adapter} cannot be used: {what}; choose another, or compute on the processor"
    )]
    AdapterUnusable { adapter: String, what: String },
    /// The adapter's memory is full.
    #[error("the GPU's memory is full: {held} bytes are held and {wanted} more were asked for")]
    GpuMemory { held: u64, wanted: u64 },
    /// The driver reset, or the device is gone.
    #[error("the GPU was lost ({what}); begin again, or compute on the processor")]
    GpuLost { what: String },
    /// The driver or wgpu refused what was asked for.
    #[error(
        "the GPU refused an operation ({what}); please report this with the GPU's name, and \
         compute on the processor meanwhile"
    )]
    GpuInvalid { what: String },
    /// The operating system gave no random numbers.
    #[error("no random numbers from the operating system ({what}), so nothing was made")]
    Random { what: String },
}
