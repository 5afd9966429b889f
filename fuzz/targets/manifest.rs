//! `cargo +nightly fuzz run --sanitizer none manifest -- -max_total_time=60` in this folder's
//! parent.
#![no_main]

#[path = "../bodies.rs"]
#[allow(dead_code)]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::manifest(data));
