//! The base: a vision transformer read from a folder of Hugging Face's or timm's form, and its
//! forward pass on the tape.
//!
//! Families: `clip` (its text tower is in [`text`]), `dinov2` and `vit`. Folders of timm become one
//! of the families `dinov2` (with layer scale) and `vit`. Refused, with the file and the reason:
//! other families, SwiGLU, other activations than GELU, missing or misshapen tensors, values that
//! are not finite.

mod checkpoint;
mod config;
pub mod embedded;
mod family;
mod file;
mod fit;
mod forward;
mod identity;
mod init;
mod names;
mod parameters;
pub mod positions;
mod stored;
pub mod text;
mod timm;
mod vit;
mod vit_config;
pub mod weight_files;
mod weights;

pub use fit::Fit;
pub use forward::{forward, forward_from_leaf, forward_observed, forward_with_tokens};
pub use identity::Identity;
pub use medforge_runtime::vit::PROJECTION;
pub use names::{adapter_path, sites_of_adapter_path};
pub use parameters::{parameter_shape, parameter_shapes};
pub use stored::StoredTensor;
pub use text::TextTower;
pub use vit::{FILES, Vit};
pub use vit_config::{Family, VitConfig};
pub use weights::Weights;

#[cfg(test)]
mod pixels_tests;
#[cfg(test)]
pub(crate) mod tests;
