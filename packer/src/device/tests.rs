//! Values worked out by hand or from a definition, of the operations that have no gradient to check
//! them by.

use super::cpu::Cpu;
use super::*;

type D = Cpu<f64>;

#[test]
fn sgd_follows_its_recurrence() {
    let device = D::poisoned();
    let mut weight = device.upload(&[0.5, -1.0]);
    let mut velocity = device.zeros(2);
    let (mut w, mut v) = ([0.5f64, -1.0], [0.0; 2]);
    for step in 1..=4 {
        let gradient = [0.25 * step as f32, -0.5];
        let uploaded = device.upload(&gradient);
        let settings = Sgd { learning_rate: 0.1, momentum: 0.9, weight_decay: 0.01 };
        let update = Update { weight: &mut weight, gradient: &uploaded, state: [&mut velocity] };
        device.sgd(settings, vec![update]);
        for i in 0..2 {
            v[i] = 0.9 * v[i] + f64::from(gradient[i]) + 0.01 * w[i];
            w[i] -= 0.1 * v[i];
        }
    }
    for (ours, exact) in
        device.values(&weight).iter().zip(w).chain(device.values(&velocity).iter().zip(v))
    {
        assert!((ours - exact).abs() < 1e-12, "{ours} against {exact}");
    }
}

#[test]
fn trim_keeps_the_largest_magnitudes() {
    let device = Cpu::<f32>::poisoned();
    let trim = |x: &[f32], keep| device.download(&device.trim(&device.upload(x), keep)).unwrap();
    let x = [0.5, -3.0, 2.0, 0.0, -2.0, 1.0];
    assert_eq!(trim(&x, 0), [0.0; 6]);
    assert_eq!(trim(&x, 1), [0.0, -3.0, 0.0, 0.0, 0.0, 0.0]);
    assert_eq!(trim(&x, 2), [0.0, -3.0, 2.0, 0.0, -2.0, 0.0], "equals stay together");
    assert_eq!(trim(&x, 3), trim(&x, 2));
    assert_eq!(trim(&x, 4), [0.0, -3.0, 2.0, 0.0, -2.0, 1.0]);
    assert_eq!(trim(&x, 6), x);
    assert_eq!(trim(&x, 60), x);
    assert_eq!(trim(&[7.0], 1), [7.0]);
    let broken = trim(&[1.0, f32::NAN, f32::INFINITY, -f32::NAN], 1);
    assert!(
        broken[1].is_nan() && broken[3].is_nan() && broken[0] == 0.0 && broken[2] == 0.0,
        "{broken:?}"
    );
}

#[test]
fn trim_agrees_with_sorting() {
    let device = Cpu::<f32>::poisoned();
    let x: Vec<f32> = (0..40_000).map(|i| ((i * 7919) % 40_009) as f32 / 256.0 - 78.0).collect();
    let mut order: Vec<f32> = x.iter().map(|x| x.abs()).collect();
    order.sort_by(|a, b| b.total_cmp(a));
    for keep in [1, 2, 8000, 39_999] {
        let ours = device.download(&device.trim(&device.upload(&x), keep)).unwrap();
        let expected: Vec<f32> =
            x.iter().map(|x| if x.abs() >= order[keep - 1] { *x } else { 0.0 }).collect();
        assert_eq!(ours, expected, "keep {keep}");
    }
}

/// By column: 1 - 4 + 6 elects plus, the mean of 1 and 6; -1 - 4 + 2 elects minus; 1 - 2 + 1 elects
/// nothing; zeros have no sign; one value alone counts for one.
#[test]
fn elect_averages_what_agrees() {
    let device = D::poisoned();
    let [a, b, c] =
        [[1.0, -1.0, 1.0, 0.0, 0.0], [-2.0, -2.0, -1.0, 0.0, 0.0], [12.0, 4.0, 2.0, 0.0, 3.0]];
    let [a, b, c] = [a, b, c].map(|x| device.upload(&x));
    let elected = device.elect(&[(&a, 1.0), (&b, 2.0), (&c, 0.5)]);
    assert_eq!(device.values(&elected), [3.5, -2.5, 0.0, 0.0, 1.5]);
    let alone = device.elect(&[(&b, -2.0)]);
    assert_eq!(device.values(&alone), [4.0, 4.0, 2.0, 0.0, 0.0]);
}

#[test]
fn elect_shows_what_is_no_number() {
    let device = Cpu::<f32>::poisoned();
    let a = device.upload(&[f32::NAN, 1.0, f32::INFINITY, 1e-30]);
    let b = device.upload(&[-5.0, -2.0, f32::NEG_INFINITY, 3e-30]);
    let elected = device.download(&device.elect(&[(&a, 1.0), (&b, 1.0)])).unwrap();
    assert!(elected[0].is_nan() && elected[2].is_nan(), "{elected:?}");
    assert_eq!((elected[1], elected[3]), (-2.0, 2e-30));
}

#[test]
fn l2_normalise_of_a_zero_row_divides_by_epsilon() {
    let device = D::poisoned();
    let x = device.upload(&[0.0, 0.0, 3.0, -4.0]);
    let (y, divisors) = device.l2_normalise(&x, 2, 0.5);
    assert_eq!(device.values(&y), [0.0, 0.0, 0.6, -0.8]);
    assert_eq!(device.values(&divisors), [0.5, 5.0]);
    let dy = device.upload(&[1.0, 2.0, 1.0, 2.0]);
    let dx = device.l2_normalise_backward(&dy, &y, &divisors, 0.5);
    for (ours, exact) in device.values(&dx).iter().zip([2.0, 4.0, 0.32, 0.24]) {
        assert!((ours - exact).abs() < 1e-12, "{ours} against {exact}");
    }
}

#[test]
fn rows_show_what_is_no_number() {
    let device = Cpu::<f32>::poisoned();
    let x = device.upload(&[1.0, f32::NAN, 1.0, 3.0]);
    let (y, _) = device.l2_normalise(&x, 2, 1e-6);
    for y in [y, device.softmax(&x, 2)] {
        let nan = device.values(&y).iter().map(|x| x.is_nan()).collect::<Vec<_>>();
        assert_eq!(nan, [true, true, false, false]);
        let dx = device.softmax_backward(&device.upload(&[1.0; 4]), &y, 2);
        assert!(device.values(&dx)[..2].iter().all(|x| x.is_nan()));
    }
}
