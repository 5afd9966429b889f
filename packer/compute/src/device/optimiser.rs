//! What a step of training is told: the weights with their gradients and moments, and AdamW's
//! settings.

/// A weight, its gradient, and the two moments that AdamW keeps for it: buffers of the weight's
/// length, zero at the start.
pub struct Update<'a, B> {
    pub weight: &'a mut B,
    pub gradient: &'a B,
    /// The moving means of the gradient and of its square.
    pub state: [&'a mut B; 2],
}

/// The settings of one AdamW step (Loshchilov & Hutter 2019, algorithm 2, with decay scaled by the
/// learning rate).
#[derive(Clone, Copy, Debug)]
pub struct AdamW {
    pub learning_rate: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    pub weight_decay: f64,
    /// 1 for the first step.
    pub step: u64,
}
