//! What runs beside what: selections of modules, sets that change while threads classify, and
//! memory that stays where it is.

mod common;
mod selections;
mod sets;
#[path = "../small.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod small;
mod swaps;
