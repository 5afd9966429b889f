//! Pieces of pickles, and archives around them.

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

pub fn text(text: &str) -> Vec<u8> {
    [b"X".as_slice(), &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat()
}

pub fn global(module: &str, name: &str) -> Vec<u8> {
    format!("c{module}\n{name}\n").into_bytes()
}

pub fn whole(value: i64) -> Vec<u8> {
    [b"\x8a\x08".as_slice(), &value.to_le_bytes()].concat()
}

pub fn tuple(values: &[i64]) -> Vec<u8> {
    let values: Vec<u8> = values.iter().flat_map(|value| whole(*value)).collect();
    [b"(".as_slice(), &values, b"t"].concat()
}

/// A storage of f32.
pub fn storage(key: &str, length: i64) -> Vec<u8> {
    let (kind, float) = (text("storage"), global("torch", "FloatStorage"));
    [b"(".as_slice(), &kind, &float, &text(key), &text("cpu"), &whole(length), b"tQ"].concat()
}

/// A tensor over a storage of f32.
pub fn tensor(key: &str, length: i64, first: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    let build = global("torch._utils", "_rebuild_tensor_v2");
    let (storage, first) = (storage(key, length), whole(first));
    let (shape, strides) = (tuple(shape), tuple(strides));
    [&build[..], b"(", &storage, &first, &shape, &strides, b"\x89}tR"].concat()
}

/// An archive of PyTorch's form, with entries of more than 4 GiB if they are `large`.
pub fn archive(pickle: &[u8], storages: &[(&str, &[u8])], folder: &str, large: bool) -> Vec<u8> {
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    zipped(pickle, storages, folder, stored.large_file(large))
}

pub fn zipped(
    pickle: &[u8],
    storages: &[(&str, &[u8])],
    folder: &str,
    options: SimpleFileOptions,
) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file(format!("{folder}data.pkl"), options).unwrap();
    zip.write_all(pickle).unwrap();
    for (key, bytes) in storages {
        zip.start_file(format!("{folder}data/{key}"), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}
