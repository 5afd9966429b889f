//! What leaves packer: the base as an ONNX graph, and signed bundles.

mod bundle;
mod card;
pub mod keys;
pub mod onnx;
#[cfg(test)]
mod tests;

pub use bundle::{Options, build_bundle, build_merged_bundle};
