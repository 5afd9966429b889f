//! Tensors in memory.

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
