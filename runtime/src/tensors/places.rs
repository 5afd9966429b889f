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
        let (shape, dtype) = (info.shape.clone(), info.dtype);
        View { shape: shape.clone(), name: name.clone(), file: file.to_owned(), dtype, bytes: &[] }
            .not_empty()?;
        places.insert(name, Place { shape, dtype, range });
    }
    Ok(places)
}

impl<'a> View<'a> {
    /// The tensor `name` of `file`, whose values are `bytes`.
    ///
    /// # Errors
    /// [`Error::Tensor`] for a dimension of zero, and for more or fewer bytes than `shape` and
    /// `dtype` have.
    pub fn new(
        name: &str,
        file: &str,
        shape: Vec<usize>,
        dtype: Dtype,
        bytes: &'a [u8],
    ) -> Result<Self, Error> {
        let view = View { shape, name: name.to_owned(), file: file.to_owned(), dtype, bytes };
        view.not_empty()?;
        let bits =
            view.shape.iter().try_fold(dtype.bitsize(), |bits, side| bits.checked_mul(*side));
        if bits.is_none_or(|bits| Some(bits) != bytes.len().checked_mul(8)) {
            let what = format!("shape {:?} does not have {} bytes", view.shape, bytes.len());
            return Err(view.refuse(Class::StShapeOverflow, what));
        }
        Ok(view)
    }

    fn not_empty(&self) -> Result<(), Error> {
        if self.shape.contains(&0) {
            let what = format!("shape {:?} has a dimension of zero", self.shape);
            return Err(self.refuse(Class::StUnusable, what));
        }
        Ok(())
    }
}
