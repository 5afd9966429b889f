//! Bundles to open, and how to open them, in C.

use std::ffi::c_char;

use crate::growing::Growing;

/// Whom to trust and how to run. Zero it, set struct_size to sizeof(medforge_open_options), then
/// what is wanted.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct OpenOptions {
    /// sizeof(medforge_open_options): what lies beyond it is not read.
    pub struct_size: usize,
    /// The public key or keys (SPKI PEM), or the trust file (TOML). This or trust_data must be
    /// given.
    pub trust_path: *const c_char,
    /// What this device remembers, so that older bundles are refused: read if it is there, written
    /// when a bundle was opened. Threads and processes take turns, by a lock on a file beside it,
    /// of the same name and `.lock`, which stays. NULL: nothing.
    pub state_path: *const c_char,
    /// The time, UTC, such as "2026-01-31T23:59:59Z". NULL, on a device without a clock: no time is
    /// looked at.
    pub now: *const c_char,
    /// The same as what trust_path names, in memory. NULL: there is a path.
    pub trust_data: *const u8,
    /// Bytes of trust_data.
    pub trust_length: usize,
    /// Threads of the classifier's own that classify, at most four for each processor. 0: none,
    /// calls run on their caller's thread.
    pub threads: u32,
    /// Not 0: each of those threads takes whole images, where a call has several. 0: all share each
    /// image.
    pub spread_images: u32,
    /// Not 0: in eight bits, if the bundle was measured so.
    pub int8: u32,
    /// Bytes of memory that bundles may ask for: the file, weights, modules and what a call of one
    /// image computes with. They are known before anything is loaded. More is
    /// MEDFORGE_RESULT_TOO_COSTLY. Images are not counted, and neither is what medforge_replace
    /// takes the place of. For this and the next field, medforge_add and medforge_replace keep to
    /// what the classifier was opened with. 0: four times what the largest known base has in
    /// memory, 32,000,000,000.
    pub most_bytes: u64,
    /// Multiply-adds that bundles may ask for, for one image; their golden vectors may take 16
    /// times as many. 0: likewise, 7,200,000,000,000.
    pub most_operations: u64,
}

// SAFETY: C layout, the size first, and zeros are numbers and NULL.
unsafe impl Growing for OpenOptions {
    const LEAST: usize = 4 * size_of::<usize>();
}

/// A bundle in memory or in a file. Zero it, set struct_size to sizeof(medforge_source), then path
/// or data.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Source {
    /// sizeof(medforge_source): what lies beyond it is not read.
    pub struct_size: usize,
    /// A file. NULL: data is given.
    pub path: *const c_char,
    /// The bundle's bytes, of a buffer or a mapping; they are copied while it is verified, and not
    /// needed after the call.
    pub data: *const u8,
    /// Bytes of data.
    pub length: usize,
}

// SAFETY: C layout, the size first, and zeros are numbers and NULL.
unsafe impl Growing for Source {
    const LEAST: usize = size_of::<Source>();
}
