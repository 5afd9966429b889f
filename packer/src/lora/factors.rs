//! The factors of one site.

use medforge_runtime::tensors::Tensor;

/// The factors of a site, whose weight changes by alpha/rank * B * A. With DoRA, the lengths of its
/// rows after that are trained too.
#[derive(Clone, Debug)]
pub struct Factors {
    /// [rank, in]
    pub a: Tensor,
    /// [out, rank]
    pub b: Tensor,
    /// `[out]`: the trained lengths of the rows of W + alpha/rank * B * A (DoRA).
    pub magnitude: Option<Tensor>,
}

impl Factors {
    /// Factors without magnitudes.
    pub fn plain(a: Tensor, b: Tensor) -> Self {
        Factors { a, b, magnitude: None }
    }

    /// The same with `scale` folded into B.
    pub fn scaled(&self, scale: f64) -> Factors {
        let b = self.b.data.iter().map(|v| (f64::from(*v) * scale) as f32).collect();
        Factors { b: Tensor::f32(self.b.shape.clone(), b), ..self.clone() }
    }

    /// The same product with `rank` rows of A and columns of B. Those beyond its own rank are zero.
    pub fn padded(self, rank: usize) -> Factors {
        let Factors { mut a, b, magnitude } = self;
        let (own, inputs, outputs) = (a.shape[0], a.shape[1], b.shape[0]);
        a.data.resize(rank * inputs, 0.0);
        let mut wide = vec![0.0; outputs * rank];
        for (to, from) in wide.chunks_exact_mut(rank).zip(b.data.chunks_exact(own)) {
            to[..own].copy_from_slice(from);
        }
        let (a, b) =
            (Tensor::f32(vec![rank, inputs], a.data), Tensor::f32(vec![outputs, rank], wide));
        Factors { a, b, magnitude }
    }

    /// Factors of the `change` [out, in]: one is the change and the other the identity.
    pub(super) fn of_change(change: Tensor) -> Factors {
        let (outputs, inputs) = (change.shape[0], change.shape[1]);
        let smaller = inputs.min(outputs);
        let identity = (0..smaller * smaller)
            .map(|i| f32::from(u8::from(i / smaller == i % smaller)))
            .collect();
        let identity = Tensor::f32(vec![smaller; 2], identity);
        if outputs <= inputs {
            Factors::plain(change, identity)
        } else {
            Factors::plain(identity, change)
        }
    }
}
