//! Which form of a kernel an adapter runs best.

use crate::device::adapter::{Adapter, Kind};

/// The choices that depend on the adapter, not on the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    pub tile: Tile,
    /// Lanes that share a row in layer norm, softmax and the like: 1 or 64.
    pub lanes: u32,
    /// Attention stores its scores up to this many tokens, and makes them again beyond.
    pub stored_tokens: usize,
    /// Groups that fill the adapter: a product of fewer tiles is split along its sum.
    pub full: usize,
}

/// The tile of a product; see `matmul.wgsl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tile {
    Registers,
    Subgroup,
    Shared,
}

impl Tuning {
    /// A GPU has lanes to spare and fast memory per group; a software driver pays for every
    /// barrier.
    pub fn of(adapter: &Adapter) -> Self {
        match adapter.kind {
            Kind::Software if adapter.subgroups && adapter.subgroup[0] >= 8 => {
                Tuning { tile: Tile::Subgroup, lanes: 1, stored_tokens: 256, full: 1 }
            }
            Kind::Software => {
                Tuning { tile: Tile::Registers, lanes: 1, stored_tokens: 256, full: 1 }
            }
            _ => Tuning { tile: Tile::Shared, lanes: 64, stored_tokens: 256, full: 128 },
        }
    }
}
