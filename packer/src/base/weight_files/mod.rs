//! Files of weights: whatever a folder keeps them in becomes one map of tensors, whose values are
//! read when they are asked for. So no file is in memory as a whole.
//!
//! Read are safetensors files, checkpoints of PyTorch (`pickle`) and either in parts with an
//! index (`index`); `folder` says which file of a folder is taken.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use medforge_runtime::tensors::{LONGEST_HEAD, places};

use crate::Error;
use source::Source;

mod folder;
mod index;
mod pickle;
mod prefixes;
mod source;
mod view;

pub use view::WeightView;

/// The tensors of a base's file or files of weights, by the names that they have there. Those of
/// PyTorch are without what trainings put in front of all of them.
#[derive(Clone, Debug)]
pub struct WeightMap {
    /// What errors about the whole name: the file, or the index of several.
    pub path: PathBuf,
    pub tensors: BTreeMap<String, WeightView>,
}

impl WeightMap {
    /// The weights of the base in the folder `dir`.
    ///
    /// # Errors
    /// [`Error::Config`] and [`Error::Runtime`] for a folder without weights and for files that
    /// cannot be read, [`Error::Io`].
    pub fn open(dir: &Path) -> Result<Self, Error> {
        Self::at(&folder::weights(dir)?)
    }

    /// The weights of the base in `place`: a folder, a file of weights, or an index of several.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn at(place: &Path) -> Result<Self, Error> {
        if place.is_dir() {
            return Self::open(place);
        }
        if folder::is_index(place) {
            let tensors = index::read(place, |path| read(Source::open(path)?))?;
            return Ok(Self::named(place.to_owned(), tensors));
        }
        Self::of(Source::open(place)?)
    }

    /// The weights in `bytes`; errors call the file `path`.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn parse(bytes: Vec<u8>, path: &Path) -> Result<Self, Error> {
        Self::of(Source::memory(path, bytes))
    }

    fn of(source: Source) -> Result<Self, Error> {
        Ok(Self::named(source.path.clone(), read(source)?))
    }

    fn named(path: PathBuf, tensors: BTreeMap<String, WeightView>) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let tensors =
            if name.contains(".safetensors") { tensors } else { prefixes::without(tensors) };
        WeightMap { path, tensors }
    }
}

/// The tensors of one file.
fn read(source: Source) -> Result<BTreeMap<String, WeightView>, Error> {
    let source = Arc::new(source);
    let safetensors = source.path.extension().is_some_and(|ending| ending == "safetensors");
    // A safetensors file may begin with any byte: the length of its header.
    if !safetensors && pickle::wrote(&source.head(4)?) {
        return pickle::tensors(&source);
    }
    if !safetensors {
        let what = "is no checkpoint of PyTorch; fetch it again, or name it .safetensors if it is \
                    that";
        return Err(Error::Config { path: source.path.clone(), what: what.into() });
    }
    let places = places(&source.head(LONGEST_HEAD)?, source.length, &source.name())?;
    let view = |(name, place)| (String::clone(&name), WeightView::new(&name, &source, place));
    Ok(places.into_iter().map(view).collect())
}

#[cfg(test)]
mod tests;
