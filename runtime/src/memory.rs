//! Large buffers: zeros in a mapping of their own, given back to the system when dropped. If memory
//! is short, that is an error and not the end of the process.
//!
//! Huge pages were tried. A base loads a tenth faster where memory is in one piece. Where the
//! kernel has to put it together first, it loads up to three times slower.

use std::io;

use memmap2::{MmapMut, MmapOptions};

#[cfg(feature = "classify")]
use crate::Error;

/// `length` bytes of zeros.
pub(crate) fn zeros(length: usize) -> io::Result<MmapMut> {
    MmapMut::map_anon(length)
}

/// The same, of which every byte will be written: its pages are there at once, without a fault for
/// each.
#[cfg(feature = "classify")]
pub(crate) fn filled(length: usize) -> io::Result<MmapMut> {
    MmapOptions::new().len(length).populate().map_anon()
}

/// `count` zeros for `what`.
#[cfg(feature = "classify")]
pub(crate) fn floats(count: usize, what: &str) -> Result<Vec<f32>, Error> {
    let mut values = Vec::new();
    let short = || Error::Memory {
        what: format!("{what}, {} bytes", count.saturating_mul(size_of::<f32>())),
    };
    values.try_reserve_exact(count).map_err(|_| short())?;
    values.resize(count, 0.0);
    Ok(values)
}
