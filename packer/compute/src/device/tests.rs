//! Values worked out by hand or from a definition, of the operations that have no gradient to check
//! them by.

use super::cpu::Cpu;
use super::*;

type D = Cpu<f64>;

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
    let nan = device.values(&y).iter().map(|x| x.is_nan()).collect::<Vec<_>>();
    assert_eq!(nan, [true, true, false, false]);
}
