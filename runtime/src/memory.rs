//! Large buffers: zeros in a mapping of their own, in huge pages where the system has them (a page fault for every four kilobytes costs as
//! much as filling them), given back when dropped. Memory that is not there is an error, not an end of the process.

use std::io;

use memmap2::MmapMut;

#[cfg(feature = "classify")]
use crate::Error;

/// `length` bytes of zeros.
pub(crate) fn zeros(length: usize) -> io::Result<MmapMut> {
    let map = MmapMut::map_anon(length)?;
    // Advice: where it is not taken, pages are small.
    #[cfg(target_os = "linux")]
    let _ = map.advise(memmap2::Advice::HugePage);
    Ok(map)
}

/// `count` zeros for `what`.
#[cfg(feature = "classify")]
pub(crate) fn floats(count: usize, what: &str) -> Result<Vec<f32>, Error> {
    let mut values = Vec::new();
    let short = || Error::Memory { what: format!("{what}, {} bytes", count.saturating_mul(size_of::<f32>())) };
    values.try_reserve_exact(count).map_err(|_| short())?;
    values.resize(count, 0.0);
    Ok(values)
}
