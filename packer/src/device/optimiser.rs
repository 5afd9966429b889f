//! What a step of training is told: a weight with its gradient and state, and the optimisers'
//! settings.

/// A weight, its gradient, and the optimiser's state for it: N buffers of the weight's length, zero
/// at the start.
pub struct Update<'a, B, const N: usize> {
    pub weight: &'a mut B,
    pub gradient: &'a B,
    pub state: [&'a mut B; N],
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

/// The settings of one step of gradient descent with momentum (Sutskever et al. 2013, in PyTorch's
/// form): v = momentum v + gradient + weight_decay w; w -= learning_rate v.
#[derive(Clone, Copy, Debug)]
pub struct Sgd {
    pub learning_rate: f64,
    pub momentum: f64,
    pub weight_decay: f64,
}
