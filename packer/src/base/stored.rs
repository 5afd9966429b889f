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
}
