//! Round trips, then attacks by name.

use super::*;

fn three() -> BTreeMap<String, Tensor> {
    let values = || vec![1.0, -0.5, 0.25, 3.0];
    BTreeMap::from([
        ("a".to_owned(), Tensor { shape: vec![2, 2], data: values(), dtype: Dtype::F16 }),
        ("b \"quoted\"".to_owned(), Tensor::f32(vec![4, 1], vec![1e-30, f32::MAX, -0.0, 0.1])),
        ("c".to_owned(), Tensor { shape: vec![], data: vec![0.5], dtype: Dtype::BF16 }),
    ])
}

fn pairs(tensors: &BTreeMap<String, Tensor>) -> Vec<(&str, &Tensor)> {
    tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect()
}

/// A file with this header and this many bytes of data, each 0.
fn file(header: &str, data: usize) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &vec![0; data]].concat()
}

#[track_caller]
fn assert_refused(bytes: &[u8], words: &str) {
    let text = read(bytes, "x.safetensors").unwrap_err().to_string();
    assert!(text.starts_with("x.safetensors: ") && text.contains(words), "{text}");
}

#[test]
fn what_is_written_is_read_and_is_the_same_in_any_order() {
    let tensors = three();
    let metadata = BTreeMap::from([
        ("format".into(), "pt".into()),
        ("a".into(), "b".into()),
        ("c".into(), "d".into()),
    ]);
    let bytes = write(pairs(&tensors), &metadata).unwrap();
    assert_eq!(bytes, write(pairs(&tensors).into_iter().rev(), &metadata).unwrap());
    assert_eq!(read(&bytes, "x").unwrap(), tensors);
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(header.metadata().as_ref().unwrap()["format"], "pt");
    assert_eq!(
        header.info("b \"quoted\"").unwrap().data_offsets,
        (0, 16),
        "four-byte values come first, aligned"
    );
}

#[cfg(feature = "classify")]
#[test]
fn rows_of_16_bits_are_those_that_are_stored_and_name_the_value_that_is_wrong() {
    let tensors = three();
    let bytes = write(pairs(&tensors), &BTreeMap::new()).unwrap();
    for (name, view) in views(&bytes, "x").unwrap().into_iter().filter(|(_, view)| view.is_half()) {
        let whole = &tensors[&name];
        let bits = |value: &f32| match whole.dtype {
            Dtype::F16 => f16::from_f32(*value).to_bits(),
            _ => bf16::from_f32(*value).to_bits(),
        };
        for width in [1, 2, 3, 9] {
            let mut rows = Vec::new();
            view.half_rows(width, |row, bits| rows.extend(bits.iter().map(|b| (row, *b)))).unwrap();
            let expected = whole.data.iter().map(bits).enumerate();
            let expected: Vec<_> = expected.map(|(i, bits)| (i / width, bits)).collect();
            assert_eq!(rows, expected, "{name} in rows of {width}");
        }
    }
    for (dtype, bad) in [("F16", 0x7c00u16), ("F16", 0xfe00), ("BF16", 0x7f80), ("BF16", 0xffc0)] {
        let header = format!(r#"{{"a":{{"dtype":"{dtype}","shape":[2,2],"data_offsets":[0,8]}}}}"#);
        let mut bytes = file(&header, 8);
        let end = bytes.len() - 2;
        bytes[end..].copy_from_slice(&bad.to_le_bytes());
        let error = views(&bytes, "x").unwrap()["a"].half_rows(2, |_, _| ()).unwrap_err();
        assert!(error.to_string().contains("value 3 is"), "{error}");
    }
}

#[cfg(feature = "classify")]
#[test]
fn rows_are_the_tensor_and_name_the_value_that_is_wrong() {
    let tensors = three();
    let bytes = write(pairs(&tensors), &BTreeMap::new()).unwrap();
    for (name, view) in views(&bytes, "x").unwrap() {
        let whole = &tensors[&name].data;
        for width in [1, 2, 3, 9] {
            let mut rows = Vec::new();
            view.rows(width, |row, values| rows.extend(values.iter().map(|v| (row, *v)))).unwrap();
            let expected: Vec<_> = whole.iter().enumerate().map(|(i, v)| (i / width, *v)).collect();
            assert_eq!(rows, expected, "{name} in rows of {width}");
        }
    }
    let mut bad = file(r#"{"w":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}}"#, 16);
    let end = bad.len() - 4;
    bad[end..].copy_from_slice(&f32::NAN.to_le_bytes());
    let error = views(&bad, "x").unwrap()["w"].rows(2, |_, _| ()).unwrap_err();
    assert!(
        matches!(&error, Error::Tensor { class: Class::NanWeight, .. })
            && error.to_string().contains("value 3")
    );
}

#[test]
fn sixteen_bit_values_round_to_the_nearest() {
    let one = |dtype| Tensor { shape: vec![1], data: vec![0.1], dtype };
    for (dtype, expected) in
        [(Dtype::F16, f16::from_f32(0.1).to_f32()), (Dtype::BF16, bf16::from_f32(0.1).to_f32())]
    {
        let bytes = write([("x", &one(dtype))], &BTreeMap::new()).unwrap();
        assert_eq!(read(&bytes, "x").unwrap()["x"].data, [expected]);
    }
}

#[test]
fn no_file_is_written_that_would_be_refused() {
    let refused = |name: &str, tensor: &Tensor| {
        write([(name, tensor)], &BTreeMap::new()).unwrap_err().to_string()
    };
    assert!(refused("x", &Tensor::f32(vec![1], vec![f32::NAN])).contains("not finite"));
    assert!(
        refused("x", &Tensor { shape: vec![1], data: vec![1e9], dtype: Dtype::F16 })
            .contains("too large")
    );
    assert!(refused("x", &Tensor::f32(vec![0], vec![])).contains("do not fill"));
    assert!(refused("x", &Tensor::f32(vec![2], vec![1.0])).contains("do not fill"));
    assert!(refused("__metadata__", &Tensor::f32(vec![1], vec![1.0])).contains("taken"));
    let tensor = Tensor::f32(vec![1], vec![1.0]);
    assert!(write([("x", &tensor), ("x", &tensor)], &BTreeMap::new()).is_err());
}

#[test]
fn attack_duplicate_tensor() {
    let entry = r#""w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;
    assert!(read(&file(&format!("{{{entry}}}"), 4), "x").is_ok());
    assert_refused(&file(&format!("{{{entry},{entry}}}"), 4), "duplicate key \"w\"");
    let escaped = entry.replace("\"w\"", "\"\\u0077\"");
    assert_refused(&file(&format!("{{{entry},{escaped}}}"), 4), "duplicate key \"w\"");
}

#[test]
fn attack_duplicate_metadata() {
    let entry = r#""w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;
    let header = format!(r#"{{"__metadata__":{{"k":"1","k":"2"}},{entry}}}"#);
    assert_refused(&file(&header, 4), "duplicate key \"k\"");
}

#[test]
fn attack_values_that_are_not_finite() {
    let header = |dtype: &str, size: usize| {
        format!(r#"{{"w":{{"dtype":"{dtype}","shape":[2],"data_offsets":[0,{size}]}}}}"#)
    };
    for (dtype, value) in [
        ("F32", f32::NAN.to_le_bytes().to_vec()),
        ("F32", f32::NEG_INFINITY.to_le_bytes().to_vec()),
        ("F16", f16::INFINITY.to_le_bytes().to_vec()),
        ("BF16", bf16::NAN.to_le_bytes().to_vec()),
    ] {
        let mut bytes = file(&header(dtype, value.len() * 2), value.len());
        bytes.extend(value);
        assert_refused(&bytes, "tensor w: value 1 is");
    }
}

#[test]
fn attack_shapes_of_zero_and_beyond_the_address_space() {
    let header =
        |shape: &str| format!(r#"{{"w":{{"dtype":"F32","shape":{shape},"data_offsets":[0,0]}}}}"#);
    assert_refused(&file(&header("[0]"), 0), "dimension of zero");
    assert_refused(&file(&header("[0,18446744073709551615]"), 0), "dimension of zero");
    assert_refused(&file(&header("[4294967296,4294967296]"), 0), "overflow");
    assert_refused(&file(&header("[18446744073709551616]"), 0), "not a whole safetensors file");
    assert_refused(&file(&header("[-1]"), 0), "not a whole safetensors file");
}

#[test]
fn attack_other_types() {
    for dtype in ["F64", "I64", "U8", "BOOL"] {
        let size = if matches!(dtype, "U8" | "BOOL") { 1 } else { 8 };
        let header =
            format!(r#"{{"w":{{"dtype":"{dtype}","shape":[1],"data_offsets":[0,{size}]}}}}"#);
        assert_refused(&file(&header, size), "is not read; convert it");
    }
}

#[test]
fn attack_headers() {
    assert_refused(b"", "not a whole");
    assert_refused(b"version https://git-lfs", "not a whole");
    assert_refused(&u64::MAX.to_le_bytes(), "not a whole");
    assert_refused(&file(&"[".repeat(100_000), 0), "not a whole");
    assert_refused(&file("{}", 1), "not a whole");
    let overlapping = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
        "b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#;
    assert_refused(&file(overlapping, 4), "not a whole");
}

#[test]
fn attack_cut_off_anywhere() {
    let bytes = write(pairs(&three()), &BTreeMap::new()).unwrap();
    for length in 0..bytes.len() {
        assert!(read(&bytes[..length], "x").is_err(), "{length} bytes were read");
    }
}

#[test]
fn attack_any_flipped_bit_ends_in_a_result() {
    let bytes = write(pairs(&three()), &BTreeMap::new()).unwrap();
    let mut refused = 0;
    for at in 0..bytes.len() * 8 {
        let mut bytes = bytes.clone();
        bytes[at / 8] ^= 1 << (at % 8);
        refused += usize::from(read(&bytes, "x").is_err());
    }
    assert!(refused > bytes.len(), "only {refused} of {} flips were refused", bytes.len() * 8);
}
