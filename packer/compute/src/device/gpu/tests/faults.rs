//! What is no number, what cannot be chosen and what breaks.

use crate::device::adapter::Kind;
use crate::device::{AttentionSize, Device, Form, PatchRows, RotarySize, Size};

use super::super::{Call, adapters};
use super::*;

/// A NaN or an infinity that goes in comes out, in the same places.
#[test]
fn nan_comes_out() {
    let (rows, columns) = (5, 12);
    let mut x = numbers(rows * columns, 1);
    x[17] = f32::NAN;
    let (y, w) = (numbers(rows * columns, 2), numbers(columns * columns, 3));
    let gain = numbers(columns, 4);
    let size = Size { m: rows, n: columns, k: columns };
    let heads = AttentionSize { batch: 1, queries: rows, tokens: rows, heads: 1, width: columns };
    case!("NaN", 2e-5, |d| {
        let [x, y, w, gain] = [&x, &y, &w, &gain].map(|v| d.upload_frozen(v));
        let mut out =
            vec![d.matmul(Form::Nt, size, 1.0, &x, &w), d.matmul(Form::Nn, size, 1.0, &x, &w)];
        out.extend([
            d.residual(&y, &x, Some(&gain)),
            d.column_sum(&x, columns),
            d.layer_norm(&x, &gain, &gain, 1e-3).0,
        ]);
        for kind in KINDS {
            out.extend([d.activation(kind, &x), d.gated(kind, &x, &y), d.gated(kind, &y, &x)]);
            out.extend(d.gated_backward(kind, &x, &y, &y));
            out.extend(d.gated_backward(kind, &y, &x, &y));
            out.extend(d.gated_backward(kind, &y, &y, &x));
        }
        let turned = RotarySize { tokens: rows, leading: 1, heads: 1, width: columns };
        let table = d.upload_frozen(&vec![0.5; (rows - 1) * columns / 2]);
        let patches = PatchRows { columns, tokens: rows, leading: 1 };
        out.extend([
            d.rotate(turned, &x, [&table; 2]),
            d.patch_mean(patches, &x, true),
            d.patch_mean(patches, &x, false),
        ]);
        out.push(d.attention(heads, &x, &y, &y).0);
        out.push(d.attention(heads, &y, &x, &y).0);
        let (loss, p) = d.cross_entropy(&x, columns, &[0, 1, 2, 3, 4]);
        out.extend([loss, p]);
        out
    });
}

#[test]
fn what_is_listed_can_be_chosen() {
    let list = adapters();
    for (i, adapter) in list.iter().enumerate() {
        assert_eq!(adapter.index, i);
    }
    let number = Some(list.len() + 3);
    let error = Gpu::open(Options { number, ..Options::default() })
        .err()
        .expect("there are not so many")
        .to_string();
    assert!(
        error.contains(&format!("gpu:{}", list.len() + 3))
            && error.contains("compute on the processor"),
        "{error}"
    );
    let order: Vec<Kind> = list.iter().filter(|a| a.unusable.is_none()).map(|a| a.kind).collect();
    assert!(order.is_sorted(), "{order:?}");
}

/// What wgpu refuses becomes an error of the next read, and of every one after it; nothing panics.
#[test]
fn a_validation_error_is_reported_when_something_is_read() {
    const BROKEN: medforge_shaders::Kernel = medforge_shaders::Kernel {
        name: "broken",
        source: "@compute fn main( { this is not WGSL }",
    };
    for variant in variants().iter().filter(|v| !v.half).take(1) {
        let number = Some(variant.gpu.engine.adapter.index);
        let gpu = Gpu::open(Options { number, ..Options::default() }).unwrap();
        let x = gpu.upload(&[1.0, 2.0]);
        assert_eq!(gpu.download(&x).unwrap(), [1.0, 2.0]);
        let call = Call {
            kernel: &BROKEN,
            settings: &[],
            params: &[],
            buffers: &[],
            groups: [1, 1, 1],
            operations: 0,
        };
        gpu.engine.run(call);
        for _ in 0..2 {
            let error = gpu.download(&gpu.zeros(4)).unwrap_err();
            assert!(matches!(error, crate::Error::GpuInvalid { .. }), "{error}");
            assert!(!error.to_string().contains('\n'), "{error}");
        }
        let error = gpu.download(&x).unwrap_err();
        assert!(matches!(error, crate::Error::GpuInvalid { .. }), "{error}");
    }
}
