//! Two bundles of one base, and what tests ask the C API for.

use std::ffi::{CStr, c_char};
use std::ptr::null_mut;

use ed25519_dalek::SigningKey;
use medforge::*;
use medforge_packer::base::Vit;
use medforge_packer::export::{self, codes};
use medforge_runtime::bundle::{Trust, verify};
use medforge_runtime::classify::Classifier as Reference;

use crate::small;

pub const SIDE: u32 = 16;

/// Two bundles of one base: `a` with tasks task0 and task1 and codes, `b` with task2; their key in
/// PEM.
pub struct Fixture {
    pub a: Vec<u8>,
    pub b: Vec<u8>,
    pub pem: Vec<u8>,
    pub dir: tempfile::TempDir,
}

impl Fixture {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let vit: Vit = small::base(dir.path());
        let key = SigningKey::from_bytes(&[1; 32]);
        let module = |i: usize| small::lora(&vit, &format!("task{i}"), i * 11, i + 1, None);
        let options = |name: &str| small::options(name);
        let keys = [key.clone()];
        let a = export::build_bundle(&vit, &[module(0), module(1)], &options("a"), &keys).unwrap();
        let table = dir.path().join("codes.csv");
        let classes = {
            let trust = Trust::new(vec![key.verifying_key()], 1).unwrap();
            verify(a.clone(), &trust).unwrap().manifest().heads[0].classes.clone()
        };
        let mut text = "task,class,scheme,value,meaning\n".to_owned();
        for (i, class) in classes.iter().enumerate() {
            text += &format!("task0,{class},SCT,{i}0001,Meaning {i}\n");
        }
        std::fs::write(&table, text).unwrap();
        let a = codes::coded(a, &table, &keys).unwrap();
        let b = export::build_bundle(&vit, &[module(2)], &options("b"), &keys).unwrap();
        let pem = export::keys::to_pem(&key).public.as_bytes().to_vec();
        Fixture { a, b, pem, dir }
    }

    pub fn options(&self) -> OpenOptions {
        OpenOptions {
            trust_data: self.pem.as_ptr(),
            trust_length: self.pem.len(),
            ..OpenOptions::new()
        }
    }

    pub fn source(bytes: &[u8]) -> Source {
        Source { data: bytes.as_ptr(), length: bytes.len(), ..Source::new() }
    }

    pub fn open(&self) -> *mut Classifier {
        let mut classifier = null_mut();
        // SAFETY: structs and buffers that outlive the call.
        let status =
            unsafe { medforge_open_with(&Self::source(&self.a), &self.options(), &mut classifier) };
        assert_eq!(status, Status::Ok, "{}", last_error());
        classifier
    }

    pub fn reference(&self) -> Reference {
        let trust = Trust::from_pem(std::str::from_utf8(&self.pem).unwrap()).unwrap();
        Reference::load(verify(self.a.clone(), &trust).unwrap()).unwrap()
    }
}

pub fn pixels(seed: u32) -> Vec<u8> {
    (0..SIDE * SIDE * 3).map(|i| (i * (37 + seed) % 251) as u8).collect()
}

pub fn rgb(data: &[u8]) -> Image {
    Image {
        data: data.as_ptr().cast(),
        length: data.len(),
        rows: SIDE,
        columns: SIDE,
        photometric: PhotometricInterpretation::Rgb as u32,
        bits_allocated: 8,
        ..Image::new()
    }
}

pub fn text(pointer: *const c_char) -> String {
    // SAFETY: what the library lends is a string, or NULL.
    if pointer.is_null() {
        "NULL".into()
    } else {
        unsafe { CStr::from_ptr(pointer) }.to_str().unwrap().to_owned()
    }
}

pub fn last_error() -> String {
    text(medforge_last_error())
}

pub fn classified(
    classifier: *const Classifier,
    images: &[Image],
    options: &ClassifyOptions,
) -> Result<*mut Results, Status> {
    let mut results = null_mut();
    // SAFETY: what the caller gives is open and as long as it says.
    match unsafe {
        medforge_classify(classifier, images.as_ptr(), images.len(), options, &mut results)
    } {
        Status::Ok => Ok(results),
        other => {
            assert!(results.is_null(), "an output was written on failure");
            Err(other)
        }
    }
}

pub fn result(results: *const Results, index: usize) -> Classification {
    let mut found = Classification::new();
    // SAFETY: results that are not freed, and a local.
    assert_eq!(unsafe { medforge_results_get(results, index, &mut found) }, Status::Ok);
    found
}

pub fn memory(classifier: *const Classifier) -> Memory {
    let mut memory = Memory::new();
    // SAFETY: open, and a local.
    assert_eq!(unsafe { medforge_memory_use(classifier, &mut memory) }, Status::Ok);
    memory
}
