//! Each step against the standard's formulas, worked out by hand; and what does not fit.

use super::*;
use crate::Error;

const BITS: Bits = Bits { allocated: 16, stored: 16, high: 15, signed: true, big_endian: false };

fn gray<'a>(data: &'a [u8], columns: u32, bits: Bits) -> Stored<'a> {
    Stored {
        data,
        rows: 1,
        columns,
        stride: None,
        bits,
        photometric: Photometric::Monochrome2,
        planar: false,
        modality: Modality::Linear { slope: 1.0, intercept: 0.0 },
        voi: Voi::Range,
        padding: None,
    }
}

fn shades(stored: &Stored) -> Vec<u8> {
    let image = stored.rgb().unwrap();
    assert!(image.data().chunks(3).all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2]));
    image.data().iter().step_by(3).copied().collect()
}

fn bytes(values: &[i16]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn window(center: f64, width: f64, function: Function) -> Voi<'static> {
    Voi::Window { center, width, function }
}

#[test]
fn windows_are_the_standards() {
    let data = bytes(&[-1000, -160, -159, 40, 239, 240, 2000]);
    let stored = |voi| Stored { voi, ..gray(&data, 7, BITS) };
    // PS3.3 C.11.2.1.2.1: black up to 40 - 0.5 - 199.5 = -160, white above 239.
    let expected = |x: f64| ((x - 39.5) / 399.0 + 0.5) * 255.0;
    let linear = shades(&stored(window(40.0, 400.0, Function::Linear)));
    assert_eq!(
        linear,
        [0, 0, expected(-159.0).round() as u8, expected(40.0).round() as u8, 255, 255, 255]
    );
    let exact = shades(&stored(window(40.0, 400.0, Function::LinearExact)));
    assert_eq!(exact, [0, 0, 1, 128, 254, 255, 255]);
    let sigmoid = shades(&stored(window(40.0, 400.0, Function::Sigmoid)));
    let expected = |x: f64| (255.0 / (1.0 + (-4.0 * (x - 40.0) / 400.0_f64).exp())).round() as u8;
    assert_eq!(sigmoid, [-1000.0, -160.0, -159.0, 40.0, 239.0, 240.0, 2000.0].map(expected));
    // A window of 400 at 40 as CT has it: 20, 144 and 226 of dcm4che's pull request 1578, where a
    // ramp over stored values gave 23, 162 and 255.
    let stored_values = bytes(&[-128 + 1024, 65 + 1024, 194 + 1024]);
    let computed = Stored {
        voi: window(40.0, 400.0, Function::Linear),
        modality: Modality::Linear { slope: 1.0, intercept: -1024.0 },
        ..gray(&stored_values, 3, BITS)
    };
    assert_eq!(shades(&computed), [20, 144, 226]);
    // A window of width 1 is a threshold.
    let threshold = shades(&stored(window(40.5, 1.0, Function::Linear)));
    assert_eq!(threshold, [0, 0, 0, 0, 255, 255, 255]);
}

#[test]
fn bits_are_cut_out_and_their_sign_extended() {
    // Twelve bits up to bit 11, with rubbish above; then up to bit 15, with rubbish below.
    for (high, shift) in [(11, 0), (15, 4)] {
        let word =
            |value: i16| ((value as u16 & 0xfff) << shift) | if shift == 0 { 0xa000 } else { 0x5 };
        let values = [-2048, -1, 0, 2047];
        for big_endian in [false, true] {
            let data: Vec<u8> = values
                .iter()
                .flat_map(
                    |&v| if big_endian { word(v).to_be_bytes() } else { word(v).to_le_bytes() },
                )
                .collect();
            let bits = Bits { stored: 12, high, big_endian, ..BITS };
            let read: Vec<i64> = data.chunks(2).map(|sample| bits.value(sample)).collect();
            assert_eq!(read, [-2048, -1, 0, 2047]);
            // The whole range of twelve bits is shown.
            assert_eq!(shades(&gray(&data, 4, bits)), [0, 127, 128, 255]);
        }
    }
    let bits = Bits { allocated: 32, stored: 32, high: 31, signed: false, big_endian: false };
    let data: Vec<u8> = [0_u32, 1 << 31, u32::MAX].iter().flat_map(|v| v.to_le_bytes()).collect();
    assert_eq!(shades(&gray(&data, 3, bits)), [0, 128, 255]);
}

#[test]
fn modality_comes_before_the_window_and_turning_over_last() {
    let data = bytes(&[0, 1000, 1500, -2000]);
    let stored = Stored {
        modality: Modality::Linear { slope: 2.0, intercept: -1000.0 },
        voi: window(1000.0, 2000.0, Function::LinearExact),
        padding: Some(-2000..=-2000),
        ..gray(&data, 4, BITS)
    };
    // -1000, 1000, 2000 are measured, and padding is black in both.
    assert_eq!(shades(&stored), [0, 128, 255, 0]);
    let turned = Stored { photometric: Photometric::Monochrome1, ..stored.clone() };
    assert_eq!(shades(&turned), [255, 127, 0, 0]);
    // A negative slope turns over by itself, and its range is the range all the same.
    let negative = Stored {
        modality: Modality::Linear { slope: -1.0, intercept: 0.0 },
        voi: Voi::Range,
        padding: None,
        ..stored
    };
    let data = bytes(&[i16::MIN, 0, i16::MAX]);
    assert_eq!(shades(&Stored { data: &data, columns: 3, ..negative }), [255, 127, 0]);
}

#[test]
fn tables_hold_their_ends() {
    let data = bytes(&[-5, 10, 11, 12, 90]);
    let table = |bits, entries: &[u16]| Table { first: 10, bits, entries: entries.to_vec().into() };
    let voi = Stored { voi: Voi::Table(table(8, &[0, 100, 255])), ..gray(&data, 5, BITS) };
    assert_eq!(shades(&voi), [0, 0, 100, 255, 255]);
    let modality =
        Stored { modality: Modality::Table(table(16, &[0, 65_535, 6554])), ..gray(&data, 5, BITS) };
    assert_eq!(shades(&modality), [0, 0, 255, 26, 26]);
    let red = table(16, &[0xffff, 0x8080, 0]);
    let green = table(16, &[0, 0x0101, 0]);
    let blue = table(16, &[0, 0, 0xffff]);
    let palette =
        Stored { photometric: Photometric::Palette([red, green, blue]), ..gray(&data, 5, BITS) };
    let image = palette.rgb().unwrap();
    assert_eq!(image.data(), [255, 0, 0, 255, 0, 0, 128, 1, 0, 0, 0, 255, 0, 0, 255]);
}

#[test]
fn colour_together_and_in_planes_with_gaps_between_rows() {
    let bits = Bits { allocated: 8, stored: 8, high: 7, signed: false, big_endian: false };
    let together = [1, 2, 3, 4, 5, 6, 99, 7, 8, 9, 10, 11, 12, 99];
    let stored = Stored {
        photometric: Photometric::Rgb,
        rows: 2,
        stride: Some(7),
        ..gray(&together, 2, bits)
    };
    let expected: Vec<u8> = (1..=12).collect();
    assert_eq!(stored.rgb().unwrap().data(), expected);
    let planes = [1, 4, 99, 7, 10, 99, 2, 5, 99, 8, 11, 99, 3, 6, 99, 9, 12, 99];
    let stored = Stored { planar: true, data: &planes, stride: Some(3), ..stored };
    assert_eq!(stored.rgb().unwrap().data(), expected);
    let digest = |data: &[u8]| crate::bundle::sha256_hex(data);
    assert_eq!(stored.sha256_hex().unwrap(), digest(&[1, 4, 7, 10, 2, 5, 8, 11, 3, 6, 9, 12]));
    // Gray, red and blue in full-range YBR.
    let ybr = [77, 76, 29, 128, 85, 255, 128, 255, 107];
    let stored = Stored {
        photometric: Photometric::YbrFull,
        planar: true,
        data: &ybr,
        stride: None,
        rows: 1,
        columns: 3,
        ..stored
    };
    assert_eq!(stored.rgb().unwrap().data(), [77, 77, 77, 254, 0, 0, 0, 0, 254]);
}

#[test]
fn what_does_not_fit_is_refused() {
    let data = bytes(&[0; 8]);
    let good = gray(&data, 8, BITS);
    good.rgb().unwrap();
    let table = || Table { first: 0, bits: 16, entries: vec![].into() };
    let wrong = [
        Stored { columns: 9, ..good.clone() },
        Stored { columns: 0, ..good.clone() },
        Stored { stride: Some(15), ..good.clone() },
        Stored { rows: u32::MAX, stride: Some(usize::MAX), ..good.clone() },
        Stored { bits: Bits { allocated: 12, ..BITS }, ..good.clone() },
        Stored { bits: Bits { stored: 0, ..BITS }, ..good.clone() },
        Stored { bits: Bits { high: 16, ..BITS }, ..good.clone() },
        Stored { bits: Bits { stored: 14, high: 12, ..BITS }, ..good.clone() },
        Stored { photometric: Photometric::Rgb, columns: 2, ..good.clone() },
        Stored { modality: Modality::Linear { slope: 0.0, intercept: 0.0 }, ..good.clone() },
        Stored { modality: Modality::Linear { slope: f64::NAN, intercept: 0.0 }, ..good.clone() },
        Stored { modality: Modality::Table(table()), ..good.clone() },
        Stored { voi: Voi::Table(table()), ..good.clone() },
        Stored { photometric: Photometric::Palette([table(), table(), table()]), ..good.clone() },
        Stored { voi: window(0.0, 0.5, Function::Linear), ..good.clone() },
        Stored { voi: window(0.0, 0.0, Function::Sigmoid), ..good.clone() },
        Stored { voi: window(f64::INFINITY, 1.0, Function::LinearExact), ..good.clone() },
    ];
    for stored in wrong {
        assert!(matches!(stored.rgb(), Err(Error::Pixels { .. })), "{stored:?}");
    }
}
