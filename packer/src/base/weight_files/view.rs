//! A tensor in a file of weights.

use std::sync::Arc;

use medforge_runtime::tensors::{Place, Tensor, View};
use safetensors::Dtype;

use super::source::Source;
use crate::Error;

/// A tensor in a file that has been looked through: its values are read when they are asked for,
/// and only they.
#[derive(Clone, Debug)]
pub struct WeightView {
    /// Dimensions; empty for a scalar.
    pub shape: Vec<usize>,
    /// How the values are stored.
    pub dtype: Dtype,
    /// What the file calls it.
    name: String,
    source: Arc<Source>,
    /// The first byte of its values.
    at: u64,
}

impl WeightView {
    /// The tensor `name` in `place` of `source`.
    pub fn new(name: &str, source: &Arc<Source>, place: Place) -> Self {
        let (name, source) = (name.to_owned(), source.clone());
        WeightView { shape: place.shape, dtype: place.dtype, name, source, at: place.range.start }
    }

    /// The values.
    ///
    /// # Errors
    /// [`Error::Runtime`] for a type that is not read and for values that are not finite;
    /// [`Error::Io`].
    pub fn read(&self) -> Result<Tensor, Error> {
        let bits = self.shape.iter().product::<usize>() * self.dtype.bitsize();
        let bytes = self.source.read(self.at, bits as u64 / 8)?;
        let file = self.source.name();
        Ok(View::new(&self.name, &file, self.shape.clone(), self.dtype, &bytes).read()?)
    }
}
