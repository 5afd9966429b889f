//! What a transformer takes, counted from its layout before anything of it is made: bytes of memory
//! and multiply-adds.
//!
//! Counts are the same on every processor: those of the widest registers that one has, into whole
//! numbers of which narrow matrices are filled up. So no processor takes more, and all refuse the
//! same.

use super::Precision;
use super::forward::{STREAMS, Spread};
use super::layout::{Layout, LinearNames};
use super::rollout::BLOCKS;

/// What something takes. Wide enough for every size that a graph can name.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Taken {
    pub bytes: u128,
    /// Multiply-adds of one forward pass.
    pub operations: u128,
}

/// Values in the widest register.
const LANES: u128 = 16;
/// Queries whose scores are taken together.
const ROWS: u128 = 8;
/// Bytes of a value.
const FLOAT: u128 = 4;
/// Bytes by which a buffer begins later, on a cache line.
const LINE: u128 = 64;
/// Multiply-adds that a share of attention costs beside its products: an exponential.
const SHARE: u128 = 8;

impl Layout {
    /// The weights, and a forward pass without adapters.
    pub fn base(&self, precision: Precision) -> Taken {
        let (hidden, tokens, heads) = (self.hidden as u128, self.token_count(), self.heads as u128);
        let (width, area) = (hidden / heads.max(1), 3 * (self.patch as u128).pow(2));
        let linears = self.linears().map(|names| linear(names, precision)).sum::<u128>();
        let norms =
            2 * hidden * (2 * self.blocks.len() as u128 + 1 + u128::from(self.pre_norm.is_some()));
        let scales =
            self.blocks.iter().flat_map(|block| [&block.scale1, &block.scale2]).flatten().count();
        let vectors =
            (tokens + 1 + scales as u128 + u128::from(self.patch_bias.is_some())) * hidden;
        let products = self
            .linears()
            .map(|names| tokens * names.inputs as u128 * filled(names.outputs as u128));
        let attention =
            heads * tokens * (width * filled(tokens) + tokens * filled(width) + SHARE * tokens);
        Taken {
            bytes: 2 * panels(area, hidden) + FLOAT * (norms + vectors) + linears,
            operations: tokens * area * filled(hidden)
                + products.sum::<u128>()
                + attention * self.blocks.len() as u128,
        }
    }

    /// Bytes that a call takes beside weights and adapters: as many streams as run at a time, with
    /// the attention that maps are made of; what each of `threads` makes of them under branches of
    /// `rank`; and an image as it comes, as it is checked, and cut into patches.
    pub fn activations(
        &self,
        precision: Precision,
        threads: u128,
        spread: Spread,
        rank: u128,
    ) -> u128 {
        let calls = if spread == Spread::Images { threads } else { 1 };
        let (hidden, tokens) = (self.hidden as u128, self.token_count());
        let width = hidden / (self.heads as u128).max(1);
        let inner = self.blocks.iter().map(|block| block.fc1.outputs).max().unwrap_or(0) as u128;
        let stream = tokens * (6 * hidden + inner) + BLOCKS as u128 * tokens * tokens;
        let pixels = 3 * ((self.grid * self.patch) as u128).pow(2);
        let rounded = |names: &LinearNames| {
            let (inputs, outputs) = (names.inputs as u128, names.outputs as u128);
            (tokens + FLOAT) * inputs.next_multiple_of(4) + FLOAT * tokens * (outputs + 1)
        };
        let linear = match precision {
            Precision::F32 => 0,
            Precision::Int8 => self.linears().map(rounded).max().unwrap_or(0),
        };
        let attention =
            panels(width, tokens) + panels(tokens, width) + FLOAT * tokens * (tokens + ROWS);
        let own = linear + attention + FLOAT * tokens * rank;
        FLOAT * (calls * STREAMS as u128 * stream + (2 + calls) * pixels) + threads * own
    }

    /// An adapter laid out, and what it adds to a forward pass, given each site's rank.
    pub fn adapter(&self, rank: impl Fn(&str) -> usize) -> Taken {
        let tokens = self.token_count();
        self.linears().fold(Taken::default(), |sum, names| {
            let (rank, inputs, outputs) =
                (rank(&names.site) as u128, names.inputs as u128, names.outputs as u128);
            let bytes = panels(inputs, rank) + panels(rank, outputs) + FLOAT * outputs;
            let operations = tokens * (inputs * filled(rank) + rank * filled(outputs));
            match rank {
                0 => sum,
                _ => sum + Taken { bytes, operations },
            }
        })
    }

    fn token_count(&self) -> u128 {
        1 + (self.grid as u128).pow(2)
    }
}

impl std::ops::Add for Taken {
    type Output = Taken;

    fn add(self, other: Taken) -> Taken {
        Taken { bytes: self.bytes + other.bytes, operations: self.operations + other.operations }
    }
}

/// Bytes of a linear layer.
fn linear(names: &LinearNames, precision: Precision) -> u128 {
    let (inputs, outputs) = (names.inputs as u128, names.outputs as u128);
    let bias = if names.bias.is_some() { FLOAT * outputs } else { 0 };
    bias + match precision {
        Precision::F32 => panels(inputs, outputs),
        Precision::Int8 => inputs.next_multiple_of(4) * filled(outputs) + 2 * FLOAT * outputs,
    }
}

/// Bytes of a matrix in panels.
fn panels(rows: u128, columns: u128) -> u128 {
    FLOAT * rows * filled(columns) + LINE
}

fn filled(columns: u128) -> u128 {
    columns.next_multiple_of(LANES)
}

#[cfg(test)]
mod tests;
