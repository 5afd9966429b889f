//! Where the tensors of a file lie, told from its header alone: files that are larger than memory
//! are read tensor by tensor.

use std::collections::BTreeMap;
use std::ops::Range;

use safetensors::tensor::Metadata;
use safetensors::{Dtype, SafeTensorError, SafeTensors};

use super::header::{LONGEST_HEADER, header};
use super::{View, checked, malformed};
use crate::{Class, Error};

/// The longest beginning of a safetensors file that says where its tensors lie, in bytes.
pub const LONGEST_HEAD: u64 = 8 + LONGEST_HEADER;

/// A tensor's place in a file.
#[derive(Debug, Clone)]
pub struct Place {
    /// Dimensions, none of them zero; empty for a scalar.
    pub shape: Vec<usize>,
    /// How the values are stored.
    pub dtype: Dtype,
    /// The bytes of the file that are the values.
    pub range: Range<u64>,
}

/// Where the tensors lie in a safetensors file of `length` bytes that begins with `head`, which has
/// [`LONGEST_HEAD`] bytes if there are as many; `file` is what errors call it.
///
/// # Errors
/// As [`views`](super::views).
pub fn places(head: &[u8], length: u64, file: &str) -> Result<BTreeMap<String, Place>, Error> {
    checked(head, file)?;
    let refuse = |error: &SafeTensorError| malformed(head, error, file);
    let whole = match SafeTensors::read_metadata(head) {
        // All is well but that the values are not in `head`.
        Err(SafeTensorError::MetadataIncompleteBuffer) | Ok(_) => header(head).unwrap_or_default(),
        Err(error) => return Err(refuse(&error)),
    };
    let metadata: Metadata = serde_json::from_slice(whole)
        .map_err(|error| refuse(&SafeTensorError::InvalidHeaderDeserialization(error)))?;
    let start = 8 + whole.len() as u64;
    if start.checked_add(metadata.data_len() as u64) != Some(length) {
        return Err(refuse(&SafeTensorError::MetadataIncompleteBuffer));
    }
    let mut places = BTreeMap::new();
    for (name, info) in metadata.tensors() {
        let (from, to) = info.data_offsets;
        let range = start + from as u64..start + to as u64;
        let view = View::new(&name, file, info.shape.clone(), info.dtype, &[]);
        let place = Place { shape: view.not_empty()?.shape, dtype: info.dtype, range };
        places.insert(name, place);
    }
    Ok(places)
}

impl<'a> View<'a> {
    /// The tensor `name` of `file`, whose values are `bytes`: as many as `shape` and `dtype` say.
    pub fn new(name: &str, file: &str, shape: Vec<usize>, dtype: Dtype, bytes: &'a [u8]) -> Self {
        View { shape, name: name.to_owned(), file: file.to_owned(), dtype, bytes }
    }

    /// Itself, unless it has no value.
    pub(super) fn not_empty(self) -> Result<Self, Error> {
        if self.shape.contains(&0) {
            let what = format!("shape {:?} has a dimension of zero", self.shape);
            return Err(self.refuse(Class::StUnusable, what));
        }
        Ok(self)
    }
}
