//! Tensor files (safetensors), read as hostile input and written in one byte form.
//!
//! Refused: files that the format's own rules refuse, duplicate keys anywhere in the header, a
//! dimension of zero, shapes that overflow, NaN and infinite values, and any type but F32, F16 and
//! BF16.

use std::collections::{BTreeMap, BTreeSet};

use half::{bf16, f16};
use safetensors::{SafeTensorError, SafeTensors};

use crate::words::shown;
use crate::{Class, Error, json};

/// How a tensor's values are stored in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dtype {
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary16.
    F16,
    /// The upper half of a binary32.
    BF16,
}

/// A tensor in memory: row-major values widened to f32, and the type that the file has them in.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Dimensions, none of them zero; empty for a scalar.
    pub shape: Vec<usize>,
    /// As many values as the shape's product.
    pub data: Vec<f32>,
    /// The type in the file.
    pub dtype: Dtype,
}

impl Tensor {
    /// A tensor to be stored as F32.
    pub fn f32(shape: Vec<usize>, data: Vec<f32>) -> Self {
        Tensor { shape, data, dtype: Dtype::F32 }
    }
}

/// A tensor in a file that has been looked through: its values are read when they are asked for.
#[derive(Debug, Clone)]
pub struct View<'a> {
    /// Dimensions, none of them zero; empty for a scalar.
    pub shape: Vec<usize>,
    name: String,
    file: String,
    dtype: safetensors::Dtype,
    bytes: &'a [u8],
}

impl View<'_> {
    /// The values, widened to f32.
    ///
    /// # Errors
    /// [`Error::Tensor`] for a type that is not read here and for values that are not finite.
    pub fn read(&self) -> Result<Tensor, Error> {
        let (dtype, data) = self.widened(self.bytes, 0)?;
        Ok(Tensor { shape: self.shape.clone(), data, dtype })
    }

    /// Hands rows of `width` values, widened to f32, to `each` with their number, one after the
    /// other: the tensor is never whole in memory twice.
    #[cfg(feature = "classify")]
    pub(crate) fn rows(
        &self,
        width: usize,
        mut each: impl FnMut(usize, &[f32]),
    ) -> Result<(), Error> {
        let values = self.shape.iter().product::<usize>().max(1);
        for (row, bytes) in self.bytes.chunks(width * (self.bytes.len() / values)).enumerate() {
            each(row, &self.widened(bytes, row * width)?.1);
        }
        Ok(())
    }

    /// The values in `bytes`, the first of which is the tensor's value `first`.
    fn widened(&self, bytes: &[u8], first: usize) -> Result<(Dtype, Vec<f32>), Error> {
        let (dtype, data) =
            widen(self.dtype, bytes).map_err(|what| self.refuse(Class::StUnusable, what))?;
        if let Some(place) = data.iter().position(|value| !value.is_finite()) {
            let (value, place) = (data[place], first + place);
            let class = if value.is_nan() { Class::NanWeight } else { Class::InfWeight };
            return Err(self
                .refuse(class, format!("value {place} is {value}; only finite values are read")));
        }
        Ok((dtype, data))
    }

    fn refuse(&self, class: Class, what: String) -> Error {
        Error::Tensor { file: self.file.clone(), tensor: self.name.clone(), class, what }
    }
}

/// Looks through the safetensors file `bytes`, without its values; `file` is what errors call it.
///
/// # Errors
/// [`Error::TensorFile`] for the file as a whole, [`Error::Tensor`] for one tensor.
pub fn views<'a>(bytes: &'a [u8], file: &str) -> Result<BTreeMap<String, View<'a>>, Error> {
    let refuse = |class, what: String| Error::TensorFile { file: file.to_owned(), class, what };
    if bytes.first_chunk().is_some_and(|length| u64::from_le_bytes(*length) > LONGEST_HEADER) {
        return Err(refuse(
            Class::StHugeHeader,
            format!("not a whole safetensors file (a header of more than {LONGEST_HEADER} bytes)"),
        ));
    }
    match header(bytes).map(|header| json::check(header, NESTING)) {
        Some(Err((Class::DupJsonKey, what))) => {
            return Err(refuse(Class::StDupKey, format!("the header has a {what}")));
        }
        Some(Err((Class::JsonTooLarge, what))) => {
            return Err(refuse(
                Class::StHugeHeader,
                format!("not a whole safetensors file ({what})"),
            ));
        }
        // Nothing that is malformed otherwise is judged here; of two equal keys the library would
        // let the last win.
        _ => {}
    }
    let parsed = SafeTensors::deserialize(bytes).map_err(|error| {
        refuse(
            fault(bytes, &error),
            format!(
                "not a whole safetensors file ({}); fetch or write it again",
                shown(&error.to_string())
            ),
        )
    })?;
    let mut views = BTreeMap::new();
    for (name, found) in parsed.tensors() {
        let (shape, dtype) = (found.shape().to_vec(), found.dtype());
        let view =
            View { shape, name: name.clone(), file: file.to_owned(), dtype, bytes: found.data() };
        if view.shape.contains(&0) {
            return Err(view.refuse(
                Class::StUnusable,
                format!("shape {:?} has a dimension of zero", view.shape),
            ));
        }
        views.insert(name, view);
    }
    Ok(views)
}

/// Reads all tensors of the safetensors file `bytes`; `file` is what errors call it.
///
/// # Errors
/// As [`views`] and [`View::read`].
pub fn read(bytes: &[u8], file: &str) -> Result<BTreeMap<String, Tensor>, Error> {
    views(bytes, file)?.into_iter().map(|(name, view)| Ok((name, view.read()?))).collect()
}

/// The safetensors file of `tensors` and `metadata`: always the same bytes for the same content.
///
/// Tensors are laid out as the safetensors library does it, so that every value is aligned: F32
/// before the two-byte types, then by name. F16 and BF16 round to the nearest, ties to even.
///
/// # Errors
/// [`Error::Tensor`] for a name given twice or reserved, a value that is not finite as stored, a
/// dimension of zero or a shape that does not fit the number of values: what [`read`] would refuse
/// is not written.
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

/// The values as f32, or why the type is not read.
fn widen(dtype: safetensors::Dtype, bytes: &[u8]) -> Result<(Dtype, Vec<f32>), String> {
    let pairs = || bytes.as_chunks::<2>().0.iter();
    match dtype {
        safetensors::Dtype::F32 => Ok((
            Dtype::F32,
            bytes.as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
        )),
        safetensors::Dtype::F16 => {
            Ok((Dtype::F16, pairs().map(|&b| f16::from_le_bytes(b).to_f32()).collect()))
        }
        safetensors::Dtype::BF16 => {
            Ok((Dtype::BF16, pairs().map(|&b| bf16::from_le_bytes(b).to_f32()).collect()))
        }
        other => Err(format!("type {other} is not read; convert it to F32, F16 or BF16")),
    }
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

/// Where the header lies in the file, as far as its own length says.
fn header(bytes: &[u8]) -> Option<&[u8]> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    rest.get(..usize::try_from(u64::from_le_bytes(*length)).ok()?)
}

/// Bytes of a header: twenty thousand tensors. It is read before anything else is known of the
/// file, into ten times as much memory.
const LONGEST_HEADER: u64 = 4 << 20;

/// Objects and lists in one another in a header: the format needs three.
const NESTING: usize = 16;

/// The class of what the safetensors library refused.
fn fault(bytes: &[u8], error: &SafeTensorError) -> Class {
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

#[cfg(test)]
mod tests;
