//! A base's tensors on the host: in the type that their file has them in, two or four bytes a
//! value.

use std::sync::Arc;

use half::{bf16, f16};
use medforge_runtime::tensors::{Dtype, Tensor};

use crate::device::Stored;

/// A tensor in as many bytes as its file has for it, if these hold its values without rounding;
/// else in f32. Clones share the values.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredTensor {
    /// Dimensions, none of them zero; empty for a scalar.
    pub shape: Vec<usize>,
    /// The type in the file.
    pub dtype: Dtype,
    /// As many as the shape's product, row-major.
    pub values: Stored,
}

impl StoredTensor {
    /// The values, widened to f32.
    pub fn read(&self) -> Tensor {
        let data = self.values.read().into_owned();
        Tensor { shape: self.shape.clone(), data, dtype: self.dtype }
    }

    /// The tensor in `dtype`, each value rounded to the nearest that it has, ties to even.
    ///
    /// # Errors
    /// A value that is too large for `dtype`.
    pub fn rounded(&self, dtype: Dtype) -> Result<Self, f32> {
        let to: fn(f32) -> f32 = match dtype {
            Dtype::F32 => |v| v,
            Dtype::F16 => |v| f16::from_f32(v).to_f32(),
            Dtype::BF16 => |v| bf16::from_f32(v).to_f32(),
        };
        let mut tensor = self.read();
        for value in &mut tensor.data {
            let rounded = to(*value);
            if value.is_finite() && rounded.is_infinite() {
                return Err(*value);
            }
            *value = rounded;
        }
        Ok(Tensor { dtype, ..tensor }.into())
    }
}

impl From<Tensor> for StoredTensor {
    fn from(tensor: Tensor) -> Self {
        let Tensor { shape, data, dtype } = tensor;
        let narrow = match dtype {
            Dtype::F32 => None,
            Dtype::F16 => {
                exact(&data, f16::from_f32, f16::to_f32).map(|v| Stored::F16(Arc::new(v)))
            }
            Dtype::BF16 => {
                exact(&data, bf16::from_f32, bf16::to_f32).map(|v| Stored::Bf16(Arc::new(v)))
            }
        };
        StoredTensor { shape, dtype, values: narrow.unwrap_or_else(|| data.into()) }
    }
}

/// The values in another type, if none of them is rounded there.
fn exact<T: Copy>(data: &[f32], to: fn(f32) -> T, back: fn(T) -> f32) -> Option<Vec<T>> {
    let one = |v: &f32| Some(to(*v)).filter(|narrow| back(*narrow).to_bits() == v.to_bits());
    data.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_takes_two_bytes_a_value_where_they_hold_it() {
        let stored = |dtype, data: &[f32]| {
            let tensor = Tensor { shape: vec![data.len()], data: data.to_vec(), dtype };
            let stored = StoredTensor::from(tensor.clone());
            let bits = |t: &Tensor| t.data.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&stored.read()), bits(&tensor));
            assert_eq!((&stored.shape, stored.dtype), (&tensor.shape, dtype));
            stored.values.bytes()
        };
        for data in [[0.5, -0.0, 65504.0], [f32::from_bits(0x3f80_2000), 6e-8_f32, 1.0]] {
            let data = data.map(|v| f16::from_f32(v).to_f32());
            assert_eq!(stored(Dtype::F16, &data), 6);
            assert_eq!(stored(Dtype::F32, &data), 12);
        }
        assert_eq!(stored(Dtype::BF16, &[1e38_f32, -1e-38].map(|v| bf16::from_f32(v).to_f32())), 4);
        // Values that were changed since, and would be rounded.
        assert_eq!(stored(Dtype::F16, &[0.1, 0.5]), 8);
        assert_eq!(stored(Dtype::F16, &[1e6, f32::NAN]), 8);
    }

    #[test]
    fn values_are_rounded_to_the_nearest_and_those_too_large_are_named() {
        let tensor =
            |data: &[f32]| StoredTensor::from(Tensor::f32(vec![data.len()], data.to_vec()));
        let whole = tensor(&[0.1, 65519.0, 1e-9, -2049.0, 2051.0]);
        let half = whole.rounded(Dtype::F16).unwrap();
        assert_eq!(half.read().data, [0.099_975_586, 65504.0, 0.0, -2048.0, 2052.0]);
        assert_eq!((half.values.bytes(), half.dtype), (10, Dtype::F16));
        let brain = whole.rounded(Dtype::BF16).unwrap();
        let tiny = f32::from_bits(0x3089_0000);
        assert_eq!(brain.read().data, [0.100_097_656, 65536.0, tiny, -2048.0, 2048.0]);
        assert_eq!((brain.values.bytes(), brain.dtype), (10, Dtype::BF16));
        assert_eq!(brain.rounded(Dtype::F32).unwrap().read().data, brain.read().data);
        assert_eq!(tensor(&[1.0, -65520.0]).rounded(Dtype::F16), Err(-65520.0));
        assert_eq!(tensor(&[f32::MAX]).rounded(Dtype::BF16), Err(f32::MAX));
    }
}
