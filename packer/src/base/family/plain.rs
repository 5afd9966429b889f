//! What the families `dinov2` and `vit` have in common.

use super::super::file::File;
use super::super::vit_config::{MAX_HIDDEN, MAX_IMAGE_SIZE, MAX_LAYERS, MAX_PATCH, VitConfig};
use crate::Error;

/// A configuration that says everything that has a size, but for the width of the MLP. `eps` is
/// the epsilon where it is left out.
pub fn read(file: &File, eps: f64) -> Result<VitConfig, Error> {
    if file.flag("use_swiglu_ffn", false)? {
        return file.refuse("use_swiglu_ffn is true; packer reads only the plain MLP".into());
    }
    let hidden = file.count("hidden_size", MAX_HIDDEN)?;
    Ok(VitConfig {
        image_size: file.count("image_size", MAX_IMAGE_SIZE)?,
        patch: file.count("patch_size", MAX_PATCH)?,
        hidden,
        layers: file.count("num_hidden_layers", MAX_LAYERS)?,
        heads: file.count("num_attention_heads", hidden)?,
        eps: file.number("layer_norm_eps", eps)?,
        activation: file.activation("gelu")?,
        qkv_bias: file.flag("qkv_bias", true)?,
        ..VitConfig::PLAIN
    })
}
