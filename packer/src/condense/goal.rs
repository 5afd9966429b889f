//! What synthetic images are asked for under one view.

/// The goal under one view.
pub struct Goal {
    /// One row for each target.
    pub targets: Vec<Vec<f32>>,
    /// By column: 1 / deviation.
    pub precision: Vec<f32>,
    /// CLS features of real images and their classes.
    pub real: Option<RealFeatures>,
}

/// Real images that a classifier is judged on.
pub struct RealFeatures {
    /// [n, features].
    pub features: Vec<f32>,
    pub labels: Vec<usize>,
}

/// How much each part of the loss counts.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LossWeights {
    /// Of the CLS feature.
    pub feature: f64,
    /// Of the tokens' means, all blocks together.
    pub means: f64,
    /// Of the tokens' deviations, all blocks together.
    pub deviations: f64,
    /// Of the ridge classifier's squared error.
    pub ridge: f64,
}

/// Synthetic images under a view.
pub struct SyntheticBatch<'a> {
    /// Their statistics, row by row.
    pub rows: &'a [f32],
    /// What each is matched to, an index into [`Goal::targets`].
    pub targets: &'a [usize],
    /// The class of each.
    pub labels: &'a [usize],
}
