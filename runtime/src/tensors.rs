//! Tensor files (safetensors), read as hostile input and written in one byte form.
//!
//! Refused:
//!
//! - files that the format's own rules refuse, and duplicate keys anywhere in the header,
//! - a dimension of zero, and shapes that overflow,
//! - NaN and infinite values, and any type but F32, F16 and BF16.

use std::collections::BTreeMap;

use half::{bf16, f16};
use safetensors::{SafeTensorError, SafeTensors};

use crate::words::shown;
use crate::{Class, Error, json};

mod header;
mod places;
mod tensor;
mod write;

use header::{LONGEST_HEADER, NESTING, fault, header};
pub use places::{LONGEST_HEAD, Place, places};
pub use tensor::{Dtype, Tensor};
pub use write::write;

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
    /// other. So the tensor is never in memory twice.
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

    /// The type that the values are stored in; none for one that is not read.
    #[cfg(feature = "classify")]
    pub(crate) fn dtype(&self) -> Option<Dtype> {
        match self.dtype {
            safetensors::Dtype::F32 => Some(Dtype::F32),
            safetensors::Dtype::F16 => Some(Dtype::F16),
            safetensors::Dtype::BF16 => Some(Dtype::BF16),
            _ => None,
        }
    }

    /// Whether a value has 16 bits.
    #[cfg(feature = "classify")]
    pub(crate) fn is_half(&self) -> bool {
        matches!(self.dtype(), Some(Dtype::F16 | Dtype::BF16))
    }

    /// [`rows`](Self::rows) of a tensor of 16 bits: the bits as they are stored.
    #[cfg(feature = "classify")]
    pub(crate) fn half_rows(
        &self,
        width: usize,
        mut each: impl FnMut(usize, &[u16]),
    ) -> Result<(), Error> {
        // All ones in the exponent: infinite or no number.
        let exponent = if self.dtype == safetensors::Dtype::F16 { 0x7c00 } else { 0x7f80 };
        let mut bits = vec![0; width];
        for (row, bytes) in self.bytes.chunks(2 * width).enumerate() {
            let (bits, mut finite) = (&mut bits[..bytes.len() / 2], true);
            for (bits, bytes) in bits.iter_mut().zip(bytes.as_chunks::<2>().0) {
                *bits = u16::from_le_bytes(*bytes);
                finite &= *bits & exponent != exponent;
            }
            if !finite {
                self.widened(bytes, row * width)?;
            }
            each(row, bits);
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
    checked(bytes, file)?;
    let parsed = SafeTensors::deserialize(bytes).map_err(|error| malformed(bytes, &error, file))?;
    let mut views = BTreeMap::new();
    for (name, found) in parsed.tensors() {
        let view = View::new(&name, file, found.shape().to_vec(), found.dtype(), found.data())?;
        views.insert(name, view);
    }
    Ok(views)
}

/// Refuses headers that take much memory, or that libraries read in different ways.
fn checked(bytes: &[u8], file: &str) -> Result<(), Error> {
    let refuse = |class, what: String| Error::TensorFile { file: file.to_owned(), class, what };
    if bytes.first_chunk().is_some_and(|length| u64::from_le_bytes(*length) > LONGEST_HEADER) {
        return Err(refuse(
            Class::StHugeHeader,
            format!("not a whole safetensors file (a header of more than {LONGEST_HEADER} bytes)"),
        ));
    }
    match header(bytes).map(|header| json::check(header, NESTING)) {
        Some(Err((Class::DupJsonKey, what))) => {
            Err(refuse(Class::StDupKey, format!("the header has a {what}")))
        }
        Some(Err((Class::JsonTooLarge, what))) => {
            Err(refuse(Class::StHugeHeader, format!("not a whole safetensors file ({what})")))
        }
        // Nothing that is malformed otherwise is judged here; of two equal keys the library would
        // let the last win.
        _ => Ok(()),
    }
}

fn malformed(bytes: &[u8], error: &SafeTensorError, file: &str) -> Error {
    let what = format!(
        "not a whole safetensors file ({}); fetch or write it again",
        shown(&error.to_string())
    );
    Error::TensorFile { file: file.to_owned(), class: fault(bytes, error), what }
}

/// Reads all tensors of the safetensors file `bytes`; `file` is what errors call it.
///
/// # Errors
/// As [`views`] and [`View::read`].
pub fn read(bytes: &[u8], file: &str) -> Result<BTreeMap<String, Tensor>, Error> {
    views(bytes, file)?.into_iter().map(|(name, view)| Ok((name, view.read()?))).collect()
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

#[cfg(test)]
mod tests;
