//! Values worked out by hand or from a definition, of the operations that have no gradient to check
//! them by.

use std::sync::Arc;

use half::{bf16, f16};

use super::cpu::Cpu;
use super::meter::Meter;
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

/// Values with all bits of f16 and of bf16 in use, stored as such and in f32.
fn narrow(len: usize) -> [[Stored; 2]; 2] {
    let wide = (0..len).map(|i| ((i * 7919 % 4096) as f32 - 2047.0) * 0.731);
    let f16s: Vec<f16> = wide.clone().map(f16::from_f32).collect();
    let bf16s: Vec<bf16> = wide.map(bf16::from_f32).collect();
    let same = [
        f16s.iter().map(|v| v.to_f32()).collect(),
        bf16s.iter().map(|v| v.to_f32()).collect::<Vec<f32>>(),
    ];
    let [first, second]: [Vec<f32>; 2] = same;
    [[Stored::F16(Arc::new(f16s)), first.into()], [Stored::Bf16(Arc::new(bf16s)), second.into()]]
}

/// Every product with the stored matrix of `size`'s B, and with the same in f32; the bits.
fn products(d: &Cpu<f32>, size: Size, b: &Stored) -> Vec<u32> {
    let Size { m, n, k } = size;
    let numbers = |len: usize| (0..len).map(|i| (i as f32 * 0.37).sin()).collect::<Vec<_>>();
    let (a, bias) = (d.upload(&numbers(m * k)), d.upload(&numbers(n)));
    let stored = d.upload_stored(b);
    let mut sum = d.upload(&numbers(m * n));
    let mut found = Vec::new();
    for form in [Form::Nn, Form::Nt, Form::Tn] {
        d.matmul_add(&mut sum, form, size, 0.5, &a, &stored);
        found.extend(d.download(&d.matmul(form, size, 1.0, &a, &stored)).unwrap());
    }
    found.extend(d.download(&d.linear(size, &a, &stored, &bias)).unwrap());
    found.extend(d.download(&sum).unwrap());
    found.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn products_with_weights_of_sixteen_bits_have_the_bits_of_those_in_f32() {
    let device = Cpu::<f32>::poisoned();
    let sizes =
        [(1, 1, 1), (3, 5, 7), (70, 130, 33), (1, 97, 200), (2, 5000, 1700), (65, 300, 700)];
    for (m, n, k) in sizes {
        for [stored, wide] in narrow(n * k) {
            let size = Size { m, n, k };
            let same = products(&device, size, &stored) == products(&device, size, &wide);
            assert!(same, "{m} x {n} x {k}");
        }
    }
}

#[test]
fn stored_values_show_what_is_no_number_and_are_copied_before_they_are_written() {
    let device = Cpu::<f32>::poisoned();
    let weight = Stored::F16(Arc::new([1.0, f32::NAN, 2.0, 3.0].map(f16::from_f32).to_vec()));
    let stored = device.upload_stored(&weight);
    let y = device.matmul(Form::Nt, Size { m: 1, n: 2, k: 2 }, 1.0, &device.zeros(2), &stored);
    let nan = device.values(&y).iter().map(|x| x.is_nan()).collect::<Vec<_>>();
    assert_eq!(nan, [true, false]);
    for weight in [Stored::F16(Arc::new(vec![f16::ONE; 2])), vec![1.0, 1.0].into()] {
        let mut sum = device.upload_stored(&weight);
        device.add_scaled(&mut sum, 2.0, &device.upload_stored(&weight));
        assert_eq!(device.values(&sum), [3.0, 3.0]);
        assert_eq!(*weight.read(), [1.0, 1.0]);
    }
}

/// A device that shares takes nothing for frozen weights, and of narrow ones no more than is read
/// at once.
#[test]
fn frozen_weights_are_not_counted_twice() {
    let (n, k) = (4096, 2048);
    let [[stored, wide], _] = narrow(n * k);
    let cpu = Cpu::<f32>::new();
    let meter = Meter::new(&cpu);
    for (stored, most) in [(&stored, 3 << 21), (&wide, 0)] {
        cpu.bound(u64::MAX);
        meter.bound(u64::MAX);
        for form in [Form::Nt, Form::Nn] {
            let size = Size { m: 2, n, k };
            cpu.matmul(form, size, 1.0, &cpu.zeros(2 * k), &cpu.upload_stored(stored));
            meter.matmul(form, size, 1.0, &meter.zeros(2 * k), &meter.upload_stored(stored));
        }
        assert_eq!(cpu.peak() as u64, meter.held().1);
        assert!(cpu.peak() <= 4 * (most + 2 * n + 2 * k), "{}", cpu.peak());
    }
}
