//! Vision transformers: what they are ([`Shape`]), the graphs that they are written as, and their
//! forward pass on kernels of their own, with LoRA branches beside every linear layer.
//!
//! Graphs that packer writes are run, and no others.

mod adapter;
mod attention;
mod block;
mod cost;
mod embed;
mod forward;
mod group;
mod linear;
mod pool;
mod recognise;
mod rollout;
mod rooms;
mod shape;
mod site;
mod stream;
mod transformer;
mod weights;
mod writer;

pub(crate) use adapter::{Adapter, SiteFactors};
pub(crate) use cost::Taken;
pub(crate) use group::Output;
pub use recognise::MOST_BLOCKS;
pub(crate) use recognise::recognise;
pub use shape::{Activation, Mlp, Norms, Pooling, Positions, Shape};
pub use site::{Layer, PROJECTION, Site};
pub use stream::Spread;
pub(crate) use transformer::Vit;
pub use weights::Precision;
pub use writer::{OPSET, graph};

#[cfg(test)]
mod tests;
