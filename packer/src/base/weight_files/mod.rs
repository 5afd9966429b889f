//! Files of weights: whatever a folder keeps them in becomes one map of tensors, whose values are
//! read when they are asked for. So no file is in memory as a whole.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use medforge_runtime::tensors::{LONGEST_HEAD, places};

use crate::Error;
use source::Source;

mod source;
mod view;

pub use view::WeightView;

/// The tensors of a base's file or files of weights, by the names that they have there.
#[derive(Clone, Debug)]
pub struct WeightMap {
    /// What errors about the whole name: the file, or the index of several.
    pub path: PathBuf,
    pub tensors: BTreeMap<String, WeightView>,
}

impl WeightMap {
    /// The weights of the base in the folder `dir`.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        Self::of(Source::open(&dir.join("model.safetensors"))?)
    }

    /// The weights in `bytes`; errors call the file `path`.
    pub fn parse(bytes: Vec<u8>, path: &Path) -> Result<Self, Error> {
        Self::of(Source::memory(path, bytes))
    }

    fn of(source: Source) -> Result<Self, Error> {
        let places = places(&source.head(LONGEST_HEAD)?, source.length, &source.name())?;
        let (path, source) = (source.path.clone(), Arc::new(source));
        let view = |(name, place)| (String::clone(&name), WeightView::new(&name, &source, place));
        Ok(WeightMap { path, tensors: places.into_iter().map(view).collect() })
    }
}
