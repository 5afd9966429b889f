//! What a device must be able to compute: the tensor operations of a vision transformer, each with
//! its backward.
//!
//! Buffers are row-major matrices whose sizes the caller keeps; a device checks lengths and panics
//! on a mismatch, which is a bug in this crate, never a fault of the input. Every value written is
//! computed from the arguments: an operation never leaves part of its output untouched, and a NaN
//! that goes in comes out. A device may queue work: what goes wrong while it computes (memory, a
//! driver that resets) is reported by [`Device::download`], never before.

use crate::Error;

pub mod adapter;
pub mod choice;
pub mod cpu;
#[cfg(feature = "gpu")]
pub mod gpu;
mod image;
pub mod meter;
mod optimiser;
mod shapes;
mod stored;
#[cfg(test)]
mod tests;

pub use image::{Affine, Colour, ImageSize, Rectangle};
pub use optimiser::{AdamW, Update};
pub use shapes::{
    Activation, AttentionSize, Form, PatchRows, PatchSize, RotarySize, Size, TokenParts, TokenSize,
};
pub use stored::Stored;

/// A place that stores buffers and computes on them.
pub trait Device: Clone {
    /// A reference-counted buffer; cloning it does not copy.
    type Buffer: Clone;

    fn upload(&self, values: &[f32]) -> Self::Buffer;
    /// Values that are never trained (frozen weights, images), in the device's lower precision
    /// where it has one.
    fn upload_frozen(&self, values: &[f32]) -> Self::Buffer {
        self.upload(values)
    }
    /// Frozen weights. A device that [shares](Device::shares) them copies nothing.
    fn upload_stored(&self, values: &Stored) -> Self::Buffer {
        self.upload_frozen(&values.read())
    }
    /// Whether [`Device::upload_stored`] keeps the very memory that the values are in.
    fn shares(&self) -> bool {
        false
    }
    /// The values of a buffer. Errors: whatever went wrong since the last download.
    fn download(&self, buffer: &Self::Buffer) -> Result<Vec<f32>, Error>;
    fn zeros(&self, len: usize) -> Self::Buffer;
    /// Starts the work queued so far, at the end of a step; a device that computes at once does
    /// nothing.
    fn submit(&self) {}
    /// Values that one buffer holds at most.
    fn largest_buffer(&self) -> usize {
        usize::MAX
    }
    /// Bytes of memory that are still free, where the device knows.
    fn memory_left(&self) -> Option<u64> {
        None
    }
    /// From now on holds on to no buffer out of use where more than `bytes` would be taken with it.
    /// What is in use is not bounded by a device whose memory is the program's own.
    fn bound(&self, bytes: u64);
    /// A buffer takes a whole multiple of so many bytes.
    fn padding(&self) -> u64 {
        size_of::<f32>() as u64
    }
    /// How much more the buffers of a pass take than a [`meter::Meter`] counts, in percent.
    fn overhead(&self) -> u64 {
        0
    }
    /// The gradient of a loss to itself: 1, or a power of two where gradients are kept in a narrow
    /// type. What comes of it is scaled by the same factor until [`Device::adamw`] takes it out
    /// again.
    fn loss_gradient(&self) -> Self::Buffer {
        self.upload(&[1.0])
    }

    /// alpha * op(A) * op(B), m x n.
    fn matmul(
        &self,
        form: Form,
        size: Size,
        alpha: f64,
        a: &Self::Buffer,
        b: &Self::Buffer,
    ) -> Self::Buffer;
    /// C += alpha * op(A) * op(B).
    fn matmul_add(
        &self,
        c: &mut Self::Buffer,
        form: Form,
        size: Size,
        alpha: f64,
        a: &Self::Buffer,
        b: &Self::Buffer,
    );

    /// x W^T + bias: size.m rows of x, W [size.n, size.k].
    fn linear(
        &self,
        size: Size,
        x: &Self::Buffer,
        w: &Self::Buffer,
        bias: &Self::Buffer,
    ) -> Self::Buffer;
    /// [`Device::linear`], before and after an activation.
    fn linear_activation(
        &self,
        kind: Activation,
        size: Size,
        x: &Self::Buffer,
        w: &Self::Buffer,
        bias: &Self::Buffer,
    ) -> (Self::Buffer, Self::Buffer) {
        let before = self.linear(size, x, w, bias);
        let after = self.activation(kind, &before);
        (before, after)
    }

    /// into += alpha * x.
    fn add_scaled(&self, into: &mut Self::Buffer, alpha: f64, x: &Self::Buffer);
    /// The sum over rows of x [rows, columns].
    fn column_sum(&self, x: &Self::Buffer, columns: usize) -> Self::Buffer;
    /// The sum over rows of the element-wise product of x and y [rows, columns].
    fn column_dot(&self, x: &Self::Buffer, y: &Self::Buffer, columns: usize) -> Self::Buffer;
    /// x with column j multiplied by `scale[j]`.
    fn scale_columns(&self, x: &Self::Buffer, scale: &Self::Buffer) -> Self::Buffer;
    /// x + y, or x + y with y's column j multiplied by `scale[j]` (LayerScale, Touvron et al.
    /// 2021).
    fn residual(
        &self,
        x: &Self::Buffer,
        y: &Self::Buffer,
        scale: Option<&Self::Buffer>,
    ) -> Self::Buffer;

    /// Layer normalisation of each row, and per row its mean and reciprocal standard deviation
    /// [rows, 2].
    fn layer_norm(
        &self,
        x: &Self::Buffer,
        gain: &Self::Buffer,
        bias: &Self::Buffer,
        epsilon: f64,
    ) -> (Self::Buffer, Self::Buffer);
    /// The gradient to x of [`Device::layer_norm`].
    fn layer_norm_backward(
        &self,
        dy: &Self::Buffer,
        x: &Self::Buffer,
        statistics: &Self::Buffer,
        gain: &Self::Buffer,
    ) -> Self::Buffer;
    /// The normalised rows before gain and bias, for the gradient to gain.
    fn normalised(&self, x: &Self::Buffer, statistics: &Self::Buffer) -> Self::Buffer;

    fn activation(&self, kind: Activation, x: &Self::Buffer) -> Self::Buffer;
    fn activation_backward(
        &self,
        kind: Activation,
        dy: &Self::Buffer,
        x: &Self::Buffer,
    ) -> Self::Buffer;

    /// f(g) * u element by element, f being the activation (gated linear units, Shazeer 2020).
    fn gated(&self, kind: Activation, g: &Self::Buffer, u: &Self::Buffer) -> Self::Buffer;
    /// The gradients to g and u of [`Device::gated`].
    fn gated_backward(
        &self,
        kind: Activation,
        dy: &Self::Buffer,
        g: &Self::Buffer,
        u: &Self::Buffer,
    ) -> [Self::Buffer; 2];

    /// The queries or keys x of patches, rotated by their places (Su et al. 2021): each pair of
    /// values (j, j + width/2) of a head by the angle whose cosine and sine stand in `tables`
    /// [patches, width/2].
    fn rotate(
        &self,
        size: RotarySize,
        x: &Self::Buffer,
        tables: [&Self::Buffer; 2],
    ) -> Self::Buffer;
    /// The gradient to x of [`Device::rotate`]: dy, rotated back.
    fn rotate_backward(
        &self,
        size: RotarySize,
        dy: &Self::Buffer,
        tables: [&Self::Buffer; 2],
    ) -> Self::Buffer;

    /// Whether attention keeps its result and the softmax for the gradient, at most; else it
    /// computes the softmax a second time and keeps nothing.
    fn keeps_softmax(&self) -> bool {
        true
    }
    /// softmax(Q K^T / sqrt(width)) V per head, and what the device wants back for the gradient.
    fn attention(
        &self,
        size: AttentionSize,
        q: &Self::Buffer,
        k: &Self::Buffer,
        v: &Self::Buffer,
    ) -> (Self::Buffer, Vec<Self::Buffer>);
    /// The gradients to Q, K and V, given what was saved.
    fn attention_backward(
        &self,
        size: AttentionSize,
        dy: &Self::Buffer,
        qkv: [&Self::Buffer; 3],
        saved: &[Self::Buffer],
    ) -> [Self::Buffer; 3];

    /// Each row of x [rows, columns] divided by its Euclidean norm, or by `epsilon` if that is
    /// larger; and the divisors, one a row.
    fn l2_normalise(
        &self,
        x: &Self::Buffer,
        columns: usize,
        epsilon: f64,
    ) -> (Self::Buffer, Self::Buffer);
    /// The gradient to x of [`Device::l2_normalise`]; where a row was divided by epsilon that is a
    /// constant.
    fn l2_normalise_backward(
        &self,
        dy: &Self::Buffer,
        y: &Self::Buffer,
        divisors: &Self::Buffer,
        epsilon: f64,
    ) -> Self::Buffer;

    /// Images [batch, 3, height, width] as rows of patches [rows, 3*patch*patch], channel-major
    /// inside a patch.
    fn patches(&self, size: PatchSize, images: &Self::Buffer) -> Self::Buffer;
    /// The gradient to the images.
    fn patches_backward(&self, size: PatchSize, dy: &Self::Buffer) -> Self::Buffer;
    /// For each image its class token, the registers and its patches [images*tokens, columns]. To
    /// the class token and each patch its row of the positions is added, if there are any.
    fn tokens(&self, size: TokenSize, parts: TokenParts<&Self::Buffer>) -> Self::Buffer;
    /// The gradients to the parts that `size` has.
    fn tokens_backward(&self, size: TokenSize, dy: &Self::Buffer) -> TokenParts<Self::Buffer>;
    /// The first row of each group of `tokens` rows.
    fn first_rows(&self, x: &Self::Buffer, columns: usize, tokens: usize) -> Self::Buffer;
    /// The gradient of [`Device::first_rows`]: dy in the first rows, zero elsewhere.
    fn first_rows_backward(&self, dy: &Self::Buffer, columns: usize, tokens: usize)
    -> Self::Buffer;
    /// The mean of each image's patches [images, columns]; with `class` the first row of the image
    /// beside it, in front: [images, 2 * columns].
    fn patch_mean(&self, rows: PatchRows, x: &Self::Buffer, class: bool) -> Self::Buffer;
    /// The gradient to x of [`Device::patch_mean`]: zero in rows that it leaves out.
    fn patch_mean_backward(&self, rows: PatchRows, dy: &Self::Buffer, class: bool) -> Self::Buffer;
    /// The mean and the standard deviation, sqrt(variance + epsilon), of the patches of each image.
    /// The result is [images, 2 * columns].
    fn token_moments(&self, rows: PatchRows, x: &Self::Buffer, epsilon: f64) -> Self::Buffer;
    /// The gradient to x of y = token_moments(x): zero in the rows before the patches.
    fn token_moments_backward(
        &self,
        rows: PatchRows,
        dy: &Self::Buffer,
        x: &Self::Buffer,
        y: &Self::Buffer,
    ) -> Self::Buffer;

    /// The mean over rows of the negative log-likelihood of `labels` under softmax(logits), and the
    /// softmax.
    fn cross_entropy(
        &self,
        logits: &Self::Buffer,
        classes: usize,
        labels: &[u32],
    ) -> (Self::Buffer, Self::Buffer);
    /// The gradient to the logits, times the one value in `dy`.
    fn cross_entropy_backward(
        &self,
        dy: &Self::Buffer,
        softmax: &Self::Buffer,
        classes: usize,
        labels: &[u32],
    ) -> Self::Buffer;

    /// Images under affine maps, one each: bilinear between pixel centres, the source being
    /// surrounded by zeros. Every map must be fit for it ([`ImageSize::check_maps`]).
    fn warp(&self, size: ImageSize, images: &Self::Buffer, maps: &[Affine]) -> Self::Buffer;
    /// The gradient to the images of [`Device::warp`].
    fn warp_backward(&self, size: ImageSize, dy: &Self::Buffer, maps: &[Affine]) -> Self::Buffer;
    /// Images with their colours changed, one change each.
    fn colour(&self, size: ImageSize, images: &Self::Buffer, changes: &[Colour]) -> Self::Buffer;
    /// The gradient to the images of [`Device::colour`].
    fn colour_backward(
        &self,
        size: ImageSize,
        dy: &Self::Buffer,
        changes: &[Colour],
    ) -> Self::Buffer;
    /// Images with a rectangle set to zero, one each. The gradient is the same operation on dy.
    fn cutout(&self, size: ImageSize, images: &Self::Buffer, cut: &[Rectangle]) -> Self::Buffer;

    /// One AdamW step on each weight, its state being the two moments.
    fn adamw(&self, settings: AdamW, updates: Vec<Update<Self::Buffer>>);
}
