//! Both ends of a forward pass: from images to tokens, and from the last tokens to the feature.

use medforge_runtime::vit::{Layer, Pooling, Site};

use super::super::positions;
use super::Pass;
use crate::device::{AttentionSize, Device, PatchSize, TokenParts};
use crate::tape::{Tensor, Var};

impl<D: Device + 'static> Pass<'_, D> {
    /// The tokens [batch*tokens, hidden] of `images`, with learned positions.
    pub(super) fn embed(&self, device: &D, images: &Var<D>) -> Var<D> {
        let Pass { tape, weights, ref shape, .. } = *self;
        let (batch, side) = (images.value.rows, shape.side());
        let size = PatchSize { batch, height: side, width: side, patch: shape.patch };
        let patches = tape.patches(images, size);
        let bias = weights.optional("embed.patch.bias");
        let patches = tape.linear(&patches, weights.get("embed.patch.weight"), bias, None);
        let rows = positions::rows(shape);
        let table = weights.optional("embed.positions").map(|table| {
            if table.value.rows == rows {
                return table.clone();
            }
            let matrix = positions::matrix(&weights.config, weights.image_size);
            tape.resample(&Tensor::new(device, &matrix, rows, table.value.rows), table)
        });
        let parts = TokenParts {
            patches: &patches,
            class: weights.optional("embed.cls"),
            registers: weights.optional("embed.registers"),
            positions: table.as_ref(),
        };
        let x = tape.tokens(parts, shape.patches().len());
        if shape.norms.first { self.norm(&x, "embed.norm") } else { x }
    }

    /// The features of what leaves the last block: all tokens, or where the class token alone is
    /// pooled its row of each image.
    pub(super) fn feature(
        &self,
        device: &D,
        x: &Var<D>,
        observe: &dyn Fn(&str, &Var<D>),
    ) -> Var<D> {
        let Pass { tape, ref shape, .. } = *self;
        let norm = |x: &Var<D>| self.norm(x, "norm");
        let mean = |x: &Var<D>, class| tape.patch_mean(x, shape.patches(), class);
        let feature = match shape.pooling {
            Pooling::Class => norm(x),
            Pooling::Mean => mean(&norm(x), false),
            Pooling::NormOfMean => norm(&mean(x, false)),
            Pooling::ClassMean => mean(&norm(x), true),
            Pooling::Attention { heads, .. } => self.attended(device, &norm(x), heads, observe),
        };
        match shape.projection {
            Some(_) => self.linear(&feature, Site::Projection, observe),
            None => feature,
        }
    }

    /// What a learned query finds in the tokens x of each image (SigLIP's head): attention, and an
    /// MLP beside it.
    fn attended(
        &self,
        device: &D,
        x: &Var<D>,
        heads: usize,
        observe: &dyn Fn(&str, &Var<D>),
    ) -> Var<D> {
        let Pass { tape, weights, ref shape, .. } = *self;
        let linear = |x: &Var<D>, layer| self.linear(x, Site::Pool(layer), observe);
        let batch = x.value.rows / shape.tokens();
        // A row an image, so that what goes into the layer is an image's own.
        let ones = Tensor::new(device, &vec![1.0; batch], batch, 1);
        let probe = tape.resample(&ones, weights.get("pool.probe"));
        let (q, k, v) = (linear(&probe, Layer::Q), linear(x, Layer::K), linear(x, Layer::V));
        let (tokens, width) = (shape.tokens(), shape.hidden / heads);
        let size = AttentionSize { batch, queries: 1, tokens, heads, width };
        let y = linear(&tape.attention(&q, &k, &v, size), Layer::O);
        let inner = self.mlp(&self.norm(&y, "pool.norm"), Site::Pool, observe);
        tape.residual(&y, &inner, None)
    }
}
