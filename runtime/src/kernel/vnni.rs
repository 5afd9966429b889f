//! Sums of products of bytes with the instruction made for them (AVX-512 VNNI, `vpdpbusd`: unsigned
//! times signed, four at a time into 32 bits).
//!
//! One of two modules of this crate with unsafe code: no library at hand offers this instruction,
//! and without it eight bits are slower than 32. Unsafe are the call of functions compiled for
//! these instructions, made only where [`available`] has found them, and loads and stores of whole
//! arrays.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m512i, _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_si512,
    _mm512_storeu_si512,
};

/// Whether the processor has it.
pub(super) fn available() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// The sums of products of `count` rows of bytes (up to eight) with the columns of a panel, `[depth
/// / 4, columns, 4]`; `sums` is `[count, columns]`, columns a multiple of 16 up to 48.
///
/// # Panics
/// Where the processor does not have the instruction, and for other shapes.
pub(super) fn sums(rows: &[u8], count: usize, panel: &[i8], sums: &mut [i32]) {
    assert!(available(), "vpdpbusd is not there");
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the processor has the instructions that these functions are compiled for.
    unsafe {
        match sums.len() / count / 16 {
            1 => panel_of::<1>(rows, count, panel, sums),
            2 => panel_of::<2>(rows, count, panel, sums),
            3 => panel_of::<3>(rows, count, panel, sums),
            other => panic!("{other} registers of columns"),
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (rows, count, panel, sums);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vnni")]
fn panel_of<const V: usize>(rows: &[u8], count: usize, panel: &[i8], sums: &mut [i32]) {
    match count {
        1 => tile::<V, 1>(rows, panel, sums),
        2 => tile::<V, 2>(rows, panel, sums),
        3 => tile::<V, 3>(rows, panel, sums),
        4 => tile::<V, 4>(rows, panel, sums),
        5 => tile::<V, 5>(rows, panel, sums),
        6 => tile::<V, 6>(rows, panel, sums),
        7 => tile::<V, 7>(rows, panel, sums),
        8 => tile::<V, 8>(rows, panel, sums),
        other => panic!("{other} rows"),
    }
}

/// Loops by index over sums that are never copied whole, so that they stay in registers.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vnni")]
fn tile<const V: usize, const M: usize>(rows: &[u8], panel: &[i8], sums: &mut [i32]) {
    let depth = rows.len() / M / 4;
    let rows: [&[[u8; 4]]; M] = std::array::from_fn(|row| {
        &rows[row * depth * 4..][..depth * 4].as_chunks::<4>().0[..depth]
    });
    let panel = &panel.as_chunks::<64>().0.as_chunks::<V>().0[..depth];
    let mut totals = [[_mm512_setzero_si512(); V]; M];
    for four in 0..depth {
        let mut weights = [_mm512_setzero_si512(); V];
        for vector in 0..V {
            weights[vector] = load(&panel[four][vector]);
        }
        for row in 0..M {
            let values = _mm512_set1_epi32(i32::from_le_bytes(rows[row][four]));
            for vector in 0..V {
                totals[row][vector] =
                    _mm512_dpbusd_epi32(totals[row][vector], values, weights[vector]);
            }
        }
    }
    let stored = sums.as_chunks_mut::<16>().0;
    for row in 0..M {
        let stored = &mut stored[row * V..][..V];
        for vector in 0..V {
            store(&mut stored[vector], totals[row][vector]);
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn load(bytes: &[i8; 64]) -> __m512i {
    // SAFETY: 64 readable bytes, of any alignment.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn store(place: &mut [i32; 16], values: __m512i) {
    // SAFETY: 64 writable bytes, of any alignment.
    unsafe { _mm512_storeu_si512(place.as_mut_ptr().cast(), values) }
}
