//! The sizes and kinds of the operations on matrices and images.

/// Which side of a product is read transposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A * B with A m x k and B k x n
    Nn,
    /// A * B^T with A m x k and B n x k
    Nt,
    /// A^T * B with A k x m and B k x n
    Tn,
}

/// The size of a product: C is m x n, the sum runs over k.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub m: usize,
    pub n: usize,
    pub k: usize,
}

/// The element-wise non-linearity of the MLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// x * Phi(x), with the error function (Hendrycks & Gimpel 2016).
    Gelu,
    /// x * sigmoid(1.702 x), as CLIP uses it.
    QuickGelu,
    /// x * (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2, as SigLIP uses it.
    GeluTanh,
    /// x * sigmoid(x), as SwiGLU uses it.
    Silu,
}

/// The sizes of a multi-head self-attention: queries, keys and values are [batch*tokens,
/// heads*width].
#[derive(Clone, Copy, Debug)]
pub struct AttentionSize {
    pub batch: usize,
    pub tokens: usize,
    pub heads: usize,
    pub width: usize,
}

/// The sizes of an image batch [batch, 3, height, width] cut into square patches.
#[derive(Clone, Copy, Debug)]
pub struct PatchSize {
    pub batch: usize,
    pub height: usize,
    pub width: usize,
    pub patch: usize,
}

impl PatchSize {
    /// Patches per image, rows and columns.
    pub fn grid(&self) -> (usize, usize) {
        (self.height / self.patch, self.width / self.patch)
    }

    /// Patches in the batch.
    pub fn rows(&self) -> usize {
        let (rows, columns) = self.grid();
        self.batch * rows * columns
    }

    /// Values per patch.
    pub fn columns(&self) -> usize {
        3 * self.patch * self.patch
    }
}
