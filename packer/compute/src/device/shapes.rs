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

/// The sizes of a multi-head attention: queries are [batch*queries, heads*width], keys and values
/// [batch*tokens, heads*width].
#[derive(Clone, Copy, Debug)]
pub struct AttentionSize {
    pub batch: usize,
    pub queries: usize,
    pub tokens: usize,
    pub heads: usize,
    pub width: usize,
}

/// The sizes of a rotation of queries or keys [images*tokens, heads*width]. The first `leading`
/// tokens of each image stay as they are.
#[derive(Clone, Copy, Debug)]
pub struct RotarySize {
    pub tokens: usize,
    pub leading: usize,
    pub heads: usize,
    pub width: usize,
}

/// What the tokens of an image are, in their order: a class token, registers, patches.
#[derive(Clone, Copy, Debug)]
pub struct TokenSize {
    pub class: bool,
    pub registers: usize,
    pub patches: usize,
    /// Whether a table of positions is added to the class token and the patches.
    pub positions: bool,
    pub columns: usize,
}

/// What tokens are made of, or the gradients to that: patches [images*patches, columns], the row of
/// the class token [1, columns], registers [registers, columns], and a table of positions with a
/// row for the class token, if there is one, and one for each patch.
#[derive(Clone, Copy, Debug)]
pub struct TokenParts<B> {
    pub patches: B,
    pub class: Option<B>,
    pub registers: Option<B>,
    pub positions: Option<B>,
}

/// Where the patches are among rows of tokens [images*tokens, columns]: after the first `leading`
/// of each image.
#[derive(Clone, Copy, Debug)]
pub struct PatchRows {
    pub columns: usize,
    pub tokens: usize,
    pub leading: usize,
}

/// The sizes of an image batch [batch, 3, height, width] cut into square patches.
#[derive(Clone, Copy, Debug)]
pub struct PatchSize {
    pub batch: usize,
    pub height: usize,
    pub width: usize,
    pub patch: usize,
}

impl TokenSize {
    /// Tokens before the patches.
    pub fn leading(&self) -> usize {
        usize::from(self.class) + self.registers
    }

    /// Tokens of an image.
    pub fn tokens(&self) -> usize {
        self.leading() + self.patches
    }

    /// Rows of the table of positions.
    pub fn positions(&self) -> usize {
        usize::from(self.class) + self.patches
    }
}

impl<B> TokenParts<B> {
    /// The same parts, each turned into something else.
    pub fn map<C>(self, to: impl Fn(B) -> C) -> TokenParts<C> {
        TokenParts {
            patches: to(self.patches),
            class: self.class.map(&to),
            registers: self.registers.map(&to),
            positions: self.positions.map(&to),
        }
    }

    /// The same parts, borrowed.
    pub fn as_ref(&self) -> TokenParts<&B> {
        TokenParts {
            patches: &self.patches,
            class: self.class.as_ref(),
            registers: self.registers.as_ref(),
            positions: self.positions.as_ref(),
        }
    }

    /// The parts that there are.
    pub fn list(self) -> impl Iterator<Item = B> {
        let leading = self.class.into_iter().chain(self.registers);
        std::iter::once(self.patches).chain(leading).chain(self.positions)
    }
}

impl PatchRows {
    /// Patches of an image.
    pub fn patches(&self) -> usize {
        self.tokens - self.leading
    }
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
