//! What a transformer takes, counted from its shape before anything of it is made: bytes of memory
//! and multiply-adds.
//!
//! Counts are the same on every processor. Narrow matrices count as filled up to the widest
//! registers that a processor has. So no processor takes more, and all refuse the same.

use super::rollout::BLOCKS;
use super::shape::{Pooling, Positions, Shape};
use super::site::{Layer, Site};
use super::stream::{STREAMS, Spread};
use super::weights::{PATCH, Precision};

/// What something takes. Wide enough for every size that a graph can name.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Taken {
    pub bytes: u128,
    /// Multiply-adds of one forward pass.
    pub operations: u128,
}

/// Values in the widest register.
const LANES: u128 = 16;
/// Columns of the widest panel.
const PANEL: u128 = 3 * LANES;
/// Queries whose scores are taken together.
const ROWS: u128 = 8;
/// Bytes of a value.
const FLOAT: u128 = 4;
/// Bytes by which a buffer begins later, on a cache line.
const LINE: u128 = 64;
/// Multiply-adds that an attention weight costs beside its products: an exponential.
const WEIGHT: u128 = 8;
/// Multiply-adds that a value costs in the norm of a head, and in a rotation.
const NORM: u128 = 4;
const ROTATION: u128 = 2;

impl Shape {
    /// The weights, and a forward pass without adapters.
    pub(crate) fn base(&self, precision: Precision) -> Taken {
        let (tokens, hidden) = (self.tokens() as u128, self.hidden as u128);
        let (width, area) = (self.head_width() as u128, self.patch_values() as u128);
        let blocks = self.blocks as u128;
        let linears = self.sites().map(|site| self.linear(site, precision)).sum::<u128>();
        let pool = self.pool();
        let norms = 2 * (2 * blocks + 1 + u128::from(self.norms.first));
        let scales = if self.norms.layer_scale { 2 * blocks } else { 0 };
        let vectors =
            tokens + self.patches().start as u128 + scales + u128::from(self.patch_bias) + norms;
        let products = self.sites().map(|site| {
            let (inputs, outputs) = self.wide(site);
            self.rows(site) * inputs * filled(outputs)
        });
        // Of a head: two norms in each block, and two tables.
        let norms_of_heads = if self.norms.queries_and_keys { 4 * blocks } else { 0 };
        let tables = if self.positions == Positions::Rotary { 2 * tokens } else { 0 };
        let attention = self.attention(self.heads, tokens) + self.turned();
        let bytes = panels(area, hidden)
            + FLOAT * (vectors * hidden + (norms_of_heads + tables) * width)
            + linears
            + pool.bytes;
        let operations = tokens * area * filled(hidden)
            + products.sum::<u128>()
            + attention * blocks
            + pool.operations;
        Taken { bytes, operations }
    }

    /// The head that pools by attention, without its linear layers.
    fn pool(&self) -> Taken {
        let Pooling::Attention { heads, .. } = self.pooling else { return Taken::default() };
        // The probe, and a norm.
        Taken { bytes: FLOAT * 3 * self.hidden as u128, operations: self.attention(heads, 1) }
    }

    /// Multiply-adds of an attention of so many queries.
    fn attention(&self, heads: usize, queries: u128) -> u128 {
        let (tokens, width) = (self.tokens() as u128, (self.hidden / heads) as u128);
        let one = width * filled(tokens) + tokens * filled(width) + WEIGHT * tokens;
        heads as u128 * queries * one
    }

    /// Multiply-adds of what becomes of the queries and keys of a block before they meet.
    fn turned(&self) -> u128 {
        let rows = 2 * self.tokens() as u128 * self.heads as u128;
        let width = filled(self.head_width() as u128);
        let norm = if self.norms.queries_and_keys { NORM * width } else { 0 };
        let rotation = if self.positions == Positions::Rotary { ROTATION * width } else { 0 };
        rows * (norm + rotation)
    }

    /// Rows that go into a site of one image, or more.
    fn rows(&self, site: Site) -> u128 {
        match site {
            Site::Pool(Layer::K | Layer::V) | Site::Block(..) | Site::Projection => {
                self.tokens() as u128
            }
            Site::Pool(_) => 1,
        }
    }

    /// Bytes that are saved where `half` says of a weight that it is stored in 16 bits, and bytes
    /// of the room in which each thread widens a panel of those.
    pub(crate) fn halved(&self, precision: Precision, half: impl Fn(&str) -> bool) -> (u128, u128) {
        let patch = (PATCH.to_owned(), (self.patch_values() as u128, self.hidden as u128));
        let sites = self.sites().map(|site| (site.weight(), self.wide(site)));
        let floating = sites.filter(|_| precision == Precision::F32).chain([patch]);
        floating.filter(|(name, _)| half(name)).fold((0, 0), |(saved, room), (_, widths)| {
            let (inputs, columns) = (widths.0, filled(widths.1));
            let own = FLOAT * (inputs * columns.min(PANEL)) + LINE;
            (saved + FLOAT / 2 * inputs * columns, room.max(own))
        })
    }

    /// Bytes that a call takes beside weights and adapters: as many streams as run at a time, with
    /// the attention that maps are made of; what each of `threads` makes of them under branches of
    /// `rank`; and an image as it comes, as it is checked, and cut into patches.
    pub(crate) fn activations(
        &self,
        precision: Precision,
        threads: u128,
        spread: Spread,
        rank: u128,
    ) -> u128 {
        let calls = if spread == Spread::Images { threads } else { 1 };
        let (tokens, hidden) = (self.tokens() as u128, self.hidden as u128);
        let (width, inner) = (self.head_width() as u128, self.mlp.width as u128);
        // With the pooled row, in f64 as it is summed and in f32, and the feature.
        let pooled = 4 * self.pooled_width() as u128 + self.feature() as u128;
        let stream = tokens * (6 * hidden + inner) + BLOCKS as u128 * tokens * tokens + pooled;
        let pixels = 3 * (self.side() as u128).pow(2);
        let rounded = |site: Site| {
            let (inputs, outputs) = self.wide(site);
            let rows = self.rows(site);
            (rows + FLOAT) * inputs.next_multiple_of(4) + FLOAT * rows * (outputs + 1)
        };
        let linear = match precision {
            Precision::F32 => 0,
            Precision::Int8 => self.sites().map(rounded).max().unwrap_or(0),
        };
        let head = |width| panels(width, tokens) + panels(tokens, width);
        let pool = match self.pooling {
            Pooling::Attention { heads, mlp } => [hidden / heads as u128, mlp as u128],
            _ => [0; 2],
        };
        let attention = head(width).max(head(pool[0])) + FLOAT * tokens * (tokens + ROWS);
        // A row of the norms of heads, and one of the MLP that follows pooling.
        let rows = FLOAT * (hidden + pool[1]);
        let own = linear + attention + FLOAT * tokens * rank + rows;
        FLOAT * (calls * STREAMS as u128 * stream + (2 + calls) * pixels) + threads * own
    }

    /// An adapter laid out, and what it adds to a forward pass, given each site's rank.
    pub(crate) fn adapter(&self, rank: impl Fn(Site) -> usize) -> Taken {
        self.sites().fold(Taken::default(), |sum, site| {
            let (rank, (inputs, outputs)) = (rank(site) as u128, self.wide(site));
            let bytes = panels(inputs, rank) + panels(rank, outputs) + FLOAT * outputs;
            let operations = self.rows(site) * (inputs * filled(rank) + rank * filled(outputs));
            match rank {
                0 => sum,
                _ => sum + Taken { bytes, operations },
            }
        })
    }

    /// Bytes of a linear layer.
    fn linear(&self, site: Site, precision: Precision) -> u128 {
        let (inputs, outputs) = self.wide(site);
        let bias = if self.biased(site) { FLOAT * outputs } else { 0 };
        bias + match precision {
            Precision::F32 => panels(inputs, outputs),
            Precision::Int8 => inputs.next_multiple_of(4) * filled(outputs) + 2 * FLOAT * outputs,
        }
    }

    /// [`Shape::widths`], wide enough for products of them.
    fn wide(&self, site: Site) -> (u128, u128) {
        let (inputs, outputs) = self.widths(site);
        (inputs as u128, outputs as u128)
    }
}

impl std::ops::Add for Taken {
    type Output = Taken;

    fn add(self, other: Taken) -> Taken {
        Taken { bytes: self.bytes + other.bytes, operations: self.operations + other.operations }
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
