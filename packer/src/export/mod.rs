//! What leaves packer: the base as an ONNX graph, signed bundles, and signatures added later.

mod bundle;
mod card;
pub mod codes;
pub mod int8;
pub mod keys;
pub mod oms;
pub mod onnx;
mod sbom;
pub mod signing;
#[cfg(test)]
mod tests;

pub use bundle::{Options, Origin, Packed, build_bundle, build_merged_bundle, weights_fit};
