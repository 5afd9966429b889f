//! How a classifier uses the processor, and how much of it.

use std::num::NonZeroUsize;
use std::sync::Arc;

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::Cost;
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

/// Whose threads do the work.
#[derive(Debug, Clone, Default)]
pub enum Threads {
    /// Each call runs on the thread that makes it, and calls on several threads run beside one another over one base. No thread is started.
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
                let pool = ThreadPoolBuilder::new().num_threads(count.get()).thread_name(|i| format!("medforge-{i}"));
                let pool = pool.build().map_err(|error| Error::Device { what: format!("no threads: {error}") })?;
                Arc::new(pool)
            }
        };
        Ok(Some((pool, self.spread)))
    }
}
