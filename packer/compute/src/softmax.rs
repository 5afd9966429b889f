//! The softmax of logits, in double precision.

/// softmax(logits / temperature); the temperature is above zero.
pub fn softmax_at(temperature: f64, logits: &[f64]) -> Vec<f64> {
    let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exp: Vec<f64> = logits.iter().map(|l| ((l - max) / temperature).exp()).collect();
    let sum: f64 = exp.iter().sum();
    exp.into_iter().map(|e| e / sum).collect()
}

/// softmax(logits).
pub fn softmax(logits: &[f32]) -> Vec<f64> {
    softmax_at(1.0, &logits.iter().map(|&l| l.into()).collect::<Vec<_>>())
}
