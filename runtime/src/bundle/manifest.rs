//! `manifest.json`: what is in a bundle and what it is for.
//!
//! The canonical form is RFC 8785's. A manifest in any other form is refused, which also refuses
//! unknown and duplicate keys, spaces and other spellings of numbers. So is one that contradicts
//! itself: see [`check`](Manifest::check).

use super::description::Description;
pub use super::description::Entry;
pub use super::rules::MANIFEST;
use super::rules::Role;
use crate::Error;

mod check;
mod content;
mod task;

pub use check::are_weights;
pub use content::{Base, FORMAT, Manifest, Member, Module, REQUIRED, Tool, VERSION};
pub use task::{
    Calibration, Code, Composition, Head, Int8Cost, MOST_PARTS, Metric, Mode, PROTOTYPES, Routing,
    WeightedModule,
};

impl Description for Manifest {
    const PAYLOAD_TYPE: &'static str = "application/vnd.medforge.manifest+json";
    const FORMAT: &'static str = FORMAT;
    const VERSION: u32 = VERSION;
    const ROLE: Role = Role::Release;

    fn check(&self) -> Result<(), Error> {
        self.check()
    }

    fn entries(&self) -> &[Entry] {
        &self.entries
    }

    fn check_entry(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        check::entry(name, bytes)
    }

    fn release(&self) -> Option<(&str, u64)> {
        Some((&self.name, self.counter))
    }
}

#[cfg(test)]
pub(crate) mod tests;
