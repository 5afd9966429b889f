//! Weights of 16 bits against the same weights in f32: equal to the last bit, with every set of
//! instructions that the processor has.

use half::{bf16, f16};
use pulp::{Simd, WithSimd};

use super::*;

const HALVES: [Half; 2] = [Half::F16, Half::Bf16];

fn narrowed(half: Half, value: f32) -> u16 {
    match half {
        Half::F16 => f16::from_f32(value).to_bits(),
        Half::Bf16 => bf16::from_f32(value).to_bits(),
    }
}

fn value(half: Half, bits: u16) -> f32 {
    match half {
        Half::F16 => f16::from_bits(bits).to_f32(),
        Half::Bf16 => bf16::from_bits(bits).to_f32(),
    }
}

/// `[k, n]` of these bits, and room for one of its panels that is poisoned with NaN.
fn panels(level: Level, half: Half, (k, n): (usize, usize), bits: &[u16]) -> (HalfPanels, Room) {
    let mut panels = HalfPanels::weights(level, half, k, n).unwrap();
    bits.chunks(n).enumerate().for_each(|(row, bits)| panels.set_row(row, bits));
    let mut room = Room::new(panels.widest()).unwrap();
    room.values().fill(f32::NAN);
    (panels, room)
}

/// The panel that begins at this column.
struct Widened<'a>(&'a HalfPanels, usize, usize, &'a mut [f32]);

impl WithSimd for Widened<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Vec<f32> {
        self.0.widened(simd, self.1, self.2, self.3).to_vec()
    }
}

#[test]
fn every_finite_value_of_16_bits_is_widened_exactly() {
    for (level, half) in Level::all().into_iter().flat_map(|l| HALVES.map(|half| (l, half))) {
        let all: Vec<u16> = (0..=u16::MAX).filter(|&b| value(half, b).is_finite()).collect();
        let (panels, mut room) = panels(level, half, (1, all.len()), &all);
        let (lanes, vectors) = level.widths();
        let mut found = Vec::new();
        for (first, width) in super::super::panels::spans(all.len(), lanes, vectors) {
            found.extend(level.run(Widened(&panels, first, width, room.values())));
        }
        for (found, &bits) in found.iter().zip(&all) {
            let exact = value(half, bits);
            assert_eq!(found.to_bits(), exact.to_bits(), "{level:?} {half:?} {bits:#x}: {exact}");
        }
        assert!(found[all.len()..].iter().all(|&filled| filled == 0.0));
    }
}

#[test]
fn a_product_with_16_bits_is_that_with_the_same_weights_in_32_to_the_last_bit() {
    let shapes = [(1, 1, 1, 0), (1, 64, 100, 3), (3, 7, 5, 0), (13, 33, 70, 4), (29, 20, 131, 5)];
    for (level, (rows, k, n, rank)) in Level::all().into_iter().flat_map(|l| shapes.map(|s| (l, s)))
    {
        let (mut x, bias) = (numbers(1, rows * k), numbers(5, n));
        // A row that is not finite stays so, and the others are as they were.
        x[(rows - 1) * k] = if rows > 8 { f32::INFINITY } else { 1.0 };
        x[rows / 2 * k] = if rows > 8 { f32::NAN } else { 1.0 };
        let (low, b) = (numbers(3, rows * rank), numbers(4, rank * n));
        let b = Panels::new(level, rank, n, &b);
        for half in HALVES {
            // Among them numbers that are subnormal in f16.
            let small = numbers(2, k * n).into_iter().enumerate();
            let small = small.map(|(i, v)| if i % 3 == 0 { v * 5e-5 } else { v });
            let bits: Vec<u16> = small.map(|v| narrowed(half, v)).collect();
            let wide: Vec<f32> = bits.iter().map(|&bits| value(half, bits)).collect();
            let (narrow, mut room) = panels(level, half, (k, n), &bits);
            let wide = Panels::new(level, k, n, &wide);
            assert!(narrow.bytes() <= 2 * k * n.next_multiple_of(16));
            let run = |weight: Factor, room: &mut [f32]| {
                let mut out = vec![f32::NAN; rows * n];
                let low = Some(LowRank { values: &low, b: &b });
                let (bias, activation) = (Some(&bias[..]), Activation::Gelu);
                let product = Linear::product(&x, rows, &wide, &mut out);
                level.run(Linear { weight, room, low, bias, activation, ..product });
                out.iter().map(|value| value.to_bits()).collect::<Vec<_>>()
            };
            let expected = run(Factor::Panels(&wide), &mut []);
            let found = run(Factor::Half(&narrow), room.values());
            assert_eq!(found, expected, "{level:?} {half:?} {rows}x{k}x{n} rank {rank}");
        }
    }
}
