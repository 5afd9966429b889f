//! How a classifier uses the processor, and how much of it.

use std::num::NonZeroUsize;
use std::sync::Arc;

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::Error;
pub use crate::vit::{Precision, Spread};

/// How a classifier uses the processor, and how much of it.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Whose threads do the work.
    pub threads: Threads,
    /// How several of them share it.
    pub spread: Spread,
    /// In how many bits linear layers are multiplied.
    pub precision: Precision,
    /// What bundles may ask for.
    pub most: Cost,
}

/// Memory and work that bundles may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Bytes: the file, weights, modules and what one call computes with on all its threads, of all
    /// bundles of a classifier together. Not counted: images as the caller has them and as they are
    /// resized, all but the first of a batch, calls beside it, and the set that is replaced.
    pub bytes: u64,
    /// Multiply-adds for one image. The golden vectors of a bundle may take [`GOLDEN_IMAGES`] times
    /// as many.
    pub operations: u64,
}

/// How many images' work the golden vectors of a bundle may take.
pub const GOLDEN_IMAGES: u64 = 16;

/// Four times what the largest known bases take: in memory the vision tower of CLIP ViT-bigG/14,
/// 1.84 thousand million parameters in 48 blocks, for images of 224 pixels; in work DINOv2's
/// ViT-g/14 for the 518 pixels that it was made for.
impl Default for Cost {
    fn default() -> Self {
        Cost { bytes: 32_000_000_000, operations: 7_200_000_000_000 }
    }
}

/// Whose threads do the work.
#[derive(Debug, Clone, Default)]
pub enum Threads {
    /// Each call runs on the thread that makes it, and calls on several threads run beside one
    /// another over one base. No thread is started.
    #[default]
    Caller,
    /// So many threads of the classifier's own, which end with it.
    Own(NonZeroUsize),
    /// The caller's pool.
    Pool(Arc<ThreadPool>),
}

impl Threads {
    /// How many work on a call.
    pub(super) fn count(&self) -> usize {
        match self {
            Threads::Caller => 1,
            Threads::Own(count) => count.get(),
            Threads::Pool(pool) => pool.current_num_threads(),
        }
    }
}

impl Options {
    /// The pool, started if it is to be the classifier's own.
    pub(super) fn pool(&self) -> Result<Option<(Arc<ThreadPool>, Spread)>, Error> {
        let pool = match &self.threads {
            Threads::Caller => return Ok(None),
            Threads::Pool(pool) => pool.clone(),
            Threads::Own(count) => {
                let pool = ThreadPoolBuilder::new()
                    .num_threads(count.get())
                    .thread_name(|i| format!("medforge-{i}"));
                let pool = pool
                    .build()
                    .map_err(|error| Error::Device { what: format!("no threads: {error}") })?;
                Arc::new(pool)
            }
        };
        Ok(Some((pool, self.spread)))
    }
}
