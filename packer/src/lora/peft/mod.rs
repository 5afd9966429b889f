//! PEFT's `adapter_config.json` and `adapter_model.safetensors`, in and out.
//!
//! A folder may have rslora's scale (Kalajdzievski 2023: alpha / sqrt(rank)), and ranks and alphas
//! of their own at some sites. A module has one rank and one scale. So scales that differ are
//! folded into B, and smaller ranks are padded with zeros. With DoRA (`use_dora`) every layer has
//! its `lora_magnitude_vector` beside its factors.
//!
//! Adapters of timm's models have one layer for q, k and v. Its A is the A of each, and its B and
//! its magnitudes are cut into three. The gate and the first layer of an MLP may be one layer, too
//! (timm's `mlp.fc1`, transformers 4's `mlp.weights_in`). A head that was trained and saved with
//! the factors is read too ([`Saved`](super::Saved)).
//!
//! Refused when reading, because the factors would mean something else:
//! - trained biases, transposed layers, other trained layers;
//! - initialisations that change the base itself;
//! - a pattern that is no regular expression, or gives two values for one layer;
//! - magnitudes without `use_dora`, or of some layers only;
//! - every tensor that matches no site.

mod config;
mod names;
mod read;
mod write;

pub use read::{Adapter, read};
pub use write::{write, write_factors};
