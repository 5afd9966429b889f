//! The header of a tensor file, and what is wrong with one that the safetensors library refuses.

use std::collections::BTreeMap;

use safetensors::SafeTensorError;

use crate::Class;

/// Bytes of a header: twenty thousand tensors. It is read before anything else is known of the
/// file, into ten times as much memory.
pub(super) const LONGEST_HEADER: u64 = 4 << 20;

/// Objects and lists in one another in a header: the format needs three.
pub(super) const NESTING: usize = 16;

/// Where the header lies in the file, as far as its own length says.
pub(super) fn header(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    rest.get(..usize::try_from(u64::from_le_bytes(*length)).ok()?)
}

/// The class of what the safetensors library refused.
pub(super) fn fault(bytes: &[u8], error: &SafeTensorError) -> Class {
    match error {
        SafeTensorError::HeaderTooLarge | SafeTensorError::InvalidHeaderLength => {
            Class::StHugeHeader
        }
        SafeTensorError::MetadataIncompleteBuffer => Class::StTrailing,
        SafeTensorError::TensorInvalidInfo | SafeTensorError::ValidationOverflow => {
            Class::StShapeOverflow
        }
        SafeTensorError::InvalidOffset(_) => offsets_fault(bytes).unwrap_or(Class::StMalformed),
        _ => Class::StMalformed,
    }
}

/// Whether tensors overlap or leave bytes between them.
fn offsets_fault(bytes: &[u8]) -> Option<Class> {
    #[derive(serde::Deserialize)]
    struct Place {
        data_offsets: Option<(u64, u64)>,
    }
    let tensors: BTreeMap<String, Place> = serde_json::from_slice(header(bytes)?).ok()?;
    let mut all: Vec<(u64, u64)> =
        tensors.values().filter_map(|place| place.data_offsets).collect();
    all.sort_unstable();
    let mut end = 0;
    for (from, to) in all {
        if from < end || to < from {
            return Some(Class::StOverlap);
        }
        if from > end {
            return Some(Class::StHole);
        }
        end = to;
    }
    None
}
