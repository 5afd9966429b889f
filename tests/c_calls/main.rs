//! Every function of the C API from Rust: what it gives, what it refuses, and many threads while
//! bundles change.

mod bundles;
mod fixture;
mod images;
mod nulls;
mod results;
#[path = "../small.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod small;
mod threads;
