//! Values as a file stores them, in 32 or 16 bits. They are shared, not copied: the host and a
//! device whose memory is the host's hold the same bytes.

use std::borrow::Cow;
use std::sync::Arc;

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

/// Values that are never written again. The 16-bit types widen to f32 without rounding.
#[derive(Clone, Debug, PartialEq)]
pub enum Stored {
    F32(Arc<Vec<f32>>),
    F16(Arc<Vec<f16>>),
    Bf16(Arc<Vec<bf16>>),
}

impl Stored {
    pub fn len(&self) -> usize {
        match self {
            Stored::F32(values) => values.len(),
            Stored::F16(values) => values.len(),
            Stored::Bf16(values) => values.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> u64 {
        let each = if self.is_narrow() { size_of::<f16>() } else { size_of::<f32>() };
        (self.len() * each) as u64
    }

    /// Whether a value has 16 bits.
    pub fn is_narrow(&self) -> bool {
        !matches!(self, Stored::F32(_))
    }

    /// Fills `out` with the values from `first` on. Panics if there are not as many.
    pub fn widen(&self, first: usize, out: &mut [f32]) {
        let range = first..first + out.len();
        match self {
            Stored::F32(values) => out.copy_from_slice(&values[range]),
            Stored::F16(values) => values[range].convert_to_f32_slice(out),
            Stored::Bf16(values) => values[range].convert_to_f32_slice(out),
        }
    }

    /// All values.
    pub fn read(&self) -> Cow<'_, [f32]> {
        match self {
            Stored::F32(values) => Cow::Borrowed(values),
            _ => {
                let mut out = vec![0.0; self.len()];
                self.widen(0, &mut out);
                Cow::Owned(out)
            }
        }
    }
}

impl From<Vec<f32>> for Stored {
    fn from(values: Vec<f32>) -> Self {
        Stored::F32(Arc::new(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_of_sixteen_bits_widens_to_itself() {
        let bits = || 0..=u16::MAX;
        let f16s: Vec<f16> = bits().map(f16::from_bits).collect();
        let bf16s: Vec<bf16> = bits().map(bf16::from_bits).collect();
        let same = |stored: Stored, exact: Vec<f32>| {
            assert_eq!(stored.bytes(), 2 * 65536);
            let wide = stored.read();
            for (a, b) in wide.iter().zip(&exact) {
                assert!(a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan(), "{a} and {b}");
            }
            let mut part = [0.0; 7];
            stored.widen(3000, &mut part);
            assert_eq!(part, exact[3000..3007]);
        };
        same(Stored::F16(Arc::new(f16s.clone())), f16s.iter().map(|v| v.to_f32()).collect());
        same(Stored::Bf16(Arc::new(bf16s.clone())), bf16s.iter().map(|v| v.to_f32()).collect());
    }
}
