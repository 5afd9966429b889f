//! Tensor files in their one byte form.

use std::collections::{BTreeMap, BTreeSet};

use half::{bf16, f16};

use super::header::LONGEST_HEADER;
use super::tensor::{Dtype, Tensor};
use crate::{Class, Error};

/// The safetensors file of `tensors` and `metadata`: always the same bytes for the same content.
///
/// Tensors are laid out as the safetensors library does it, so that every value is aligned: F32
/// before the two-byte types, then by name. F16 and BF16 round to the nearest, ties to even.
///
/// # Errors
/// [`Error::Tensor`] for a name given twice or reserved, a value that is not finite as stored, a
/// dimension of zero or a shape that does not fit the number of values. What
/// [`read`](super::read) would refuse is not written.
pub fn write<'a>(
    tensors: impl IntoIterator<Item = (&'a str, &'a Tensor)>,
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>, Error> {
    let mut tensors: Vec<_> = tensors.into_iter().collect();
    tensors.sort_by_key(|(name, tensor)| (tensor.dtype != Dtype::F32, *name));
    let mut header = Vec::new();
    if !metadata.is_empty() {
        header.push(format!("\"__metadata__\":{}", to_json(metadata)));
    }
    let mut names = BTreeSet::new();
    let mut data = Vec::new();
    for (name, tensor) in tensors {
        let refuse = |what: &str| Error::Tensor {
            file: "tensors to write".into(),
            tensor: name.into(),
            class: Class::StUnusable,
            what: what.into(),
        };
        if name == "__metadata__" || !names.insert(name) {
            return Err(refuse("the name is taken"));
        }
        let values =
            tensor.shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
        if tensor.shape.contains(&0) || values != Some(tensor.data.len()) {
            return Err(refuse(&format!(
                "{} values do not fill shape {:?}",
                tensor.data.len(),
                tensor.shape
            )));
        }
        let start = data.len();
        if !narrow(tensor, &mut data) {
            return Err(refuse("a value is not finite (or too large for its type)"));
        }
        header.push(format!(
            "{}:{{\"dtype\":\"{:?}\",\"shape\":{},\"data_offsets\":[{start},{}]}}",
            to_json(name),
            tensor.dtype,
            to_json(&tensor.shape),
            data.len()
        ));
    }
    let mut header = format!("{{{}}}", header.join(","));
    header.push_str(&" ".repeat(header.len().next_multiple_of(8) - header.len()));
    if header.len() as u64 > LONGEST_HEADER {
        let what =
            format!("the header would have {} bytes, more than {LONGEST_HEADER}", header.len());
        return Err(Error::TensorFile {
            file: "tensors to write".into(),
            class: Class::StHugeHeader,
            what,
        });
    }
    Ok([&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat())
}

/// Appends the values as stored; false if one of them is not finite there.
fn narrow(tensor: &Tensor, out: &mut Vec<u8>) -> bool {
    tensor.data.iter().all(|&value| match tensor.dtype {
        Dtype::F32 => {
            out.extend(value.to_le_bytes());
            value.is_finite()
        }
        Dtype::F16 => {
            let value = f16::from_f32(value);
            out.extend(value.to_le_bytes());
            value.is_finite()
        }
        Dtype::BF16 => {
            let value = bf16::from_f32(value);
            out.extend(value.to_le_bytes());
            value.is_finite()
        }
    })
}

fn to_json(value: &(impl serde::Serialize + ?Sized)) -> String {
    serde_json::to_string(value).expect("strings, numbers and maps of strings always serialise")
}
