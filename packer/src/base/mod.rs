//! The base: a vision transformer read from a folder of Hugging Face's or timm's form, and its
//! forward pass on the tape.
//!
//! Families: `clip` (its text tower is in [`text`]), `dinov2`, `dinov2_with_registers`,
//! `dinov3_vit`, `siglip` and `vit`, a file of `family` for each. Folders of timm become bases of
//! the family that has their parts. Refused, with the file and the reason: other families, other
//! activations than GELU and SiLU, missing or misshapen tensors, values that are not finite.

mod checkpoint;
mod choices;
mod config;
pub mod embedded;
mod facebook;
mod family;
mod file;
mod fit;
mod forward;
mod identity;
mod init;
mod names;
mod open_clip;
mod origin;
mod parameters;
pub mod positions;
pub mod rotary;
mod stored;
pub mod text;
mod timm;
mod unconfigured;
mod vit;
mod vit_config;
pub mod weight_files;
mod weights;

pub use choices::{Choices, Feature};
pub use fit::Fit;
pub use forward::{forward, forward_from_leaf, forward_observed, forward_with_tokens};
pub use identity::Identity;
pub use medforge_runtime::vit::PROJECTION;
pub use names::{adapter_path, sites_of_adapter_path};
pub use origin::{Crop, Licence, Origin};
pub use parameters::{parameter_shape, parameter_shapes};
pub use stored::StoredTensor;
pub use text::TextTower;
pub use vit::{FILES, Vit};
pub use vit_config::{Family, Interpolation, Pooling, Positions, VitConfig};
pub use weights::Weights;

#[cfg(test)]
mod pixels_tests;
#[cfg(test)]
pub(crate) mod tests;
