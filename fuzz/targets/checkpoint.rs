//! `cargo +nightly fuzz run --sanitizer none checkpoint -- -max_total_time=60` in this folder's
//! parent. `tests/golden/checkpoints` is a corpus for it.
#![no_main]

#[path = "../bodies.rs"]
#[allow(dead_code)]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::checkpoint(data));
