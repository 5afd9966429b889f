//! Values that have no gradient to check them by: the narrow type, and the optimiser.

use crate::device::{AdamW, Update};

use super::*;

#[test]
fn f32_follows_f64() {
    let (wide, narrow) = (D::poisoned(), Cpu::<f32>::poisoned());
    let x = numbers(65 * 48, 5);
    let (gain, bias) = (numbers(48, 6), numbers(48, 7));
    let size = AttentionSize { batch: 1, queries: 65, tokens: 65, heads: 3, width: 16 };
    fn compute<D: Device>(
        d: &D,
        x: &[f32],
        gain: &[f32],
        bias: &[f32],
        size: AttentionSize,
    ) -> Vec<f32> {
        let (x, gain, bias) = (d.upload(x), d.upload(gain), d.upload(bias));
        let (x, _) = d.layer_norm(&x, &gain, &bias, 1e-6);
        let (y, _) = d.attention(size, &x, &x, &x);
        d.download(&d.activation(Activation::Gelu, &y)).unwrap()
    }
    let exact = compute(&wide, &x, &gain, &bias, size);
    let ours = compute(&narrow, &x, &gain, &bias, size);
    for (i, (exact, ours)) in exact.iter().zip(&ours).enumerate() {
        assert!((exact - ours).abs() < 2e-6, "element {i}: {ours} against {exact}");
    }
}

#[test]
fn adamw_follows_the_paper() {
    let device = D::poisoned();
    let mut weight = device.upload(&[0.5, -1.0]);
    let (mut m, mut v) = (device.zeros(2), device.zeros(2));
    let (mut w, mut first, mut second) = (vec![0.5f64, -1.0], [0.0; 2], [0.0; 2]);
    for step in 1..=3u64 {
        let gradient = [0.25 * step as f32, -0.5];
        let settings = AdamW {
            learning_rate: 0.1,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.01,
            step,
        };
        let uploaded = device.upload(&gradient);
        let update = Update { weight: &mut weight, gradient: &uploaded, state: [&mut m, &mut v] };
        device.adamw(settings, vec![update]);
        for i in 0..2 {
            let g = f64::from(gradient[i]);
            first[i] = 0.9 * first[i] + 0.1 * g;
            second[i] = 0.999 * second[i] + 0.001 * g * g;
            let (m_hat, v_hat) = (
                first[i] / (1.0 - 0.9f64.powi(step as i32)),
                second[i] / (1.0 - 0.999f64.powi(step as i32)),
            );
            w[i] -= 0.1 * (m_hat / (v_hat.sqrt() + 1e-8) + 0.01 * w[i]);
        }
    }
    for (ours, exact) in device.values(&weight).iter().zip(&w) {
        assert!((ours - exact).abs() < 1e-12, "{ours} against {exact}");
    }
}
