//! What the families whose configurations say everything have in common.

use super::super::file::File;
use super::super::vit_config::{MAX_HIDDEN, MAX_IMAGE_SIZE, MAX_LAYERS, MAX_PATCH, VitConfig};
use crate::Error;
use crate::device::Activation;

/// A configuration that says everything that has a size, but for the width of the MLP. `eps` is
/// the epsilon where it is left out.
pub fn read(file: &File, eps: f64) -> Result<VitConfig, Error> {
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

/// A configuration of DINOv2: the MLP's width is a ratio, and with SwiGLU two thirds of that, in
/// eights. SwiGLU has SiLU, whatever `hidden_act` says (transformers, Dinov2SwiGLUFFN).
pub fn dinov2(file: &File) -> Result<VitConfig, Error> {
    let plain = read(file, 1e-6)?;
    let ratio = file.number("mlp_ratio", 4.0)?;
    let gated = file.flag("use_swiglu_ffn", false)?;
    Ok(VitConfig {
        mlp: width(plain.hidden, ratio, gated),
        gated,
        activation: if gated { Activation::Silu } else { plain.activation },
        layer_scale: true,
        ..plain
    })
}

/// The MLP's width that a ratio means.
fn width(hidden: usize, ratio: f64, gated: bool) -> usize {
    let plain = (ratio * hidden as f64) as usize;
    if gated { ((plain as f64 * 2.0 / 3.0) as usize).saturating_add(7) / 8 * 8 } else { plain }
}

/// The ratio that means the MLP's width: a whole one if there is one, which transformers 5 wants.
/// Gated widths that are no multiple of eight have none.
pub fn mlp_ratio(config: &VitConfig) -> serde_json::Value {
    let means = |ratio: f64| width(config.hidden, ratio, config.gated) == config.mlp;
    let exact = config.mlp as f64 / config.hidden as f64;
    let exact = if config.gated { 1.5 * exact } else { exact };
    let near = exact as u64;
    if let Some(whole) = [near, near + 1].into_iter().find(|ratio| means(*ratio as f64)) {
        return whole.into();
    }
    let above = exact + 0.5 / config.hidden as f64;
    (if means(exact) { exact } else { above }).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_width_of_the_mlp_survives_writing_as_a_ratio() {
        let widths = [(56, 488), (88, 120), (384, 1536), (24, 1), (7, 1000)].map(|w| (w, false));
        let gated = [(1536, 4096), (1024, 2736), (384, 1024), (1280, 3416), (16, 48), (24, 8)];
        for ((hidden, mlp), gated) in widths.into_iter().chain(gated.map(|w| (w, true))) {
            let config = VitConfig { hidden, mlp, gated, ..VitConfig::PLAIN };
            let ratio = mlp_ratio(&config).as_f64().unwrap();
            assert_eq!(width(hidden, ratio, gated), mlp, "{hidden}, {ratio}");
        }
        let giant = VitConfig { hidden: 1536, mlp: 4096, gated: true, ..VitConfig::PLAIN };
        assert_eq!(mlp_ratio(&giant).to_string(), "4", "transformers 5 takes no 4.0");
    }
}
