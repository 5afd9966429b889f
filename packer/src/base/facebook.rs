//! Files that Facebook's repositories release, without any configuration: DINOv2, DINOv3 and MAE,
//! and what others trained with that code (RETFound, CheXFound). Their tensors have nearly timm's
//! names, and become a base as timm's do.
//!
//! Not in these files, and so taken from the papers' code: epsilon (1e-5 for DINOv3), how images
//! are prepared, and how positions are interpolated. Without registers DINOv2's own code
//! interpolates with an offset of .1, which nobody else has: packer interpolates as transformers'
//! `dinov2` does. Heads are shown by the periods of DINOv3's rotation alone.
//!
//! Refused: a number of heads that nobody says, and what is no such network.

use std::collections::BTreeMap;
use std::path::Path;

use medforge_runtime::preprocess::{CropOffset, Filter, Preprocessing, Resize, Size};

use super::choices::Choices;
use super::config::preprocessor::IMAGENET;
use super::timm::{Known, Read, network};
use super::vit_config::{Interpolation, Positions, VitConfig};
use super::weight_files::{WeightMap, WeightView};
use crate::Error;

/// Whether `weights` may be such a file.
pub fn wrote(weights: &WeightMap) -> bool {
    weights.tensors.contains_key("patch_embed.proj.weight")
}

/// The base whose tensors are `weights`, by Facebook's names or timm's.
///
/// # Errors
/// [`Error::Config`] and others of [`network`].
pub fn read(weights: &WeightMap, choices: &Choices) -> Result<Read, Error> {
    let path = &weights.path;
    let periods = weights.tensors.get(PERIODS).map(WeightView::read).transpose()?;
    let rotation = periods.map(|periods| Rotation::of(path, &periods.data)).transpose()?;
    let heads = |[width, blocks]: [usize; 2]| {
        let said = rotation.map(|rotation| width / (4 * rotation.periods).max(1));
        choices.heads(said)?.map_or_else(|| unknown_heads(path, width, blocks), Ok)
    };
    let rotary = rotation.is_some();
    let known = Known {
        eps: if rotary { 1e-5 } else { 1e-6 },
        theta: rotation.map(|rotation| rotation.theta),
        image_size: rotary.then_some(choices.size.map_or(224, |size| size as usize)),
        ..Known::new(&heads)
    };
    let (mut config, tensors) = network(&renamed(weights)?, &known, choices)?;
    if config.registers == 0 || matches!(config.positions, Positions::Rotary { .. }) {
        config.interpolation = Interpolation::Plain;
    }
    let preprocessing = preprocessing(&config, rotary);
    Ok((config, preprocessing, tensors))
}

const PERIODS: &str = "rope_embed.periods";

/// What DINOv3's periods say.
#[derive(Clone, Copy, Debug)]
struct Rotation {
    /// The longest period over the shortest.
    theta: f64,
    /// Frequencies of an axis: a quarter of a head's width.
    periods: usize,
}

impl Rotation {
    /// The rotation whose periods are `theta ^ (n / count)`, rounded to 16 bits: theta is
    /// 100 in every release.
    fn of(path: &Path, periods: &[f32]) -> Result<Self, Error> {
        const THETA: f64 = 100.0;
        let count = periods.len();
        let expected = |n: usize| libm::pow(THETA, n as f64 / count as f64);
        let near = |(n, period): (usize, &f32)| {
            (f64::from(*period) - expected(n)).abs() <= expected(n) / 128.0
        };
        if count > 0 && periods.iter().enumerate().all(near) {
            return Ok(Rotation { theta: THETA, periods: count });
        }
        let what = format!("{PERIODS} are not those of a rotation by {THETA}, as DINOv3 has it");
        Err(Error::Config { path: path.to_owned(), what })
    }
}

fn unknown_heads(path: &Path, width: usize, blocks: usize) -> Result<usize, Error> {
    let usual = match [width, blocks] {
        [384, 12] => "; in DINOv2, networks of this width have 6",
        [768, 12] => "; in DINOv2 and MAE, networks of this width have 12",
        [1024, 24] => "; in DINOv2 and MAE, networks of this width have 16",
        [1280, 32] => "; in MAE, networks of this width have 16",
        [1536, 40] => "; in DINOv2, networks of this width have 24",
        _ => "",
    };
    let what = format!(
        "shows no number of heads ({width} wide, {blocks} blocks); packer base convert --heads N \
         writes a folder that says it{usual}"
    );
    Err(Error::Config { path: path.to_owned(), what })
}

/// The tensors that are of the network, under timm's names. `qkv.bias` of DINOv3 is cut into those
/// of queries and values: its mask takes away what is for keys.
fn renamed(weights: &WeightMap) -> Result<WeightMap, Error> {
    let mut tensors = BTreeMap::new();
    for (name, view) in &weights.tensors {
        let Some(timm) = timm_name(name) else { continue };
        let mask = weights.tensors.get(&format!("{name}_mask"));
        match timm.strip_suffix("qkv.bias").zip(mask) {
            Some((at, mask)) => {
                masked(weights, name, mask)?;
                let third = view.shape.first().map_or(0, |rows| rows / 3);
                tensors.insert(format!("{at}q_bias"), view.rows(0, third));
                tensors.insert(format!("{at}v_bias"), view.rows(2 * third, third));
            }
            None => drop(tensors.insert(timm, view.clone())),
        }
    }
    Ok(WeightMap { path: weights.path.clone(), tensors })
}

/// Refuses a mask of the bias `name` that does more than take the keys' third away.
fn masked(weights: &WeightMap, name: &str, mask: &WeightView) -> Result<(), Error> {
    let values = mask.read()?.data;
    let third = values.len() / 3;
    let keys = |n: usize| (third..2 * third).contains(&n);
    let right = |(n, value): (usize, &f32)| *value == if keys(n) { 0.0 } else { 1.0 };
    if values.len() % 3 == 0 && values.iter().enumerate().all(right) {
        return Ok(());
    }
    let what = format!("{name}_mask is not of ones, and zeros for keys, as DINOv3 has it");
    Err(Error::Config { path: weights.path.clone(), what })
}

/// timm's name of a tensor of Facebook's; none for what is no part of the network: decoders, what
/// stands for masked patches, heads of self-distillation.
fn timm_name(name: &str) -> Option<String> {
    let beside = ["decoder_", "rope_embed.", "local_cls_norm.", "dino_head.", "ibot_head."];
    let mask = name == "mask_token" || name.ends_with("_mask");
    if mask || beside.iter().any(|start| name.starts_with(start)) {
        return None;
    }
    let parts: Vec<&str> = name.split('.').collect();
    let number = |part: &str| part.bytes().all(|b| b.is_ascii_digit()) && !part.is_empty();
    // Blocks in chunks keep their number: blocks.CHUNK.N.
    let parts = match &parts[..] {
        ["blocks", chunk, n, rest @ ..] if number(chunk) && number(n) => {
            [&["blocks", *n], rest].concat()
        }
        other => other.to_vec(),
    };
    let name = parts.join(".");
    let named = [
        (".mlp.w12.", ".mlp.fc1."),
        (".mlp.w1.", ".mlp.fc1_g."),
        (".mlp.w2.", ".mlp.fc1_x."),
        (".mlp.w3.", ".mlp.fc2."),
    ];
    let layer = named.into_iter().find(|(theirs, _)| name.contains(theirs));
    Some(match (name.as_str(), layer) {
        ("register_tokens" | "storage_tokens", _) => "reg_token".to_owned(),
        (_, Some((theirs, timm))) => name.replace(theirs, timm),
        _ => name,
    })
}

/// How the papers' evaluations prepare images: the centre of an image whose shorter side is
/// 256 / 224 of the crop's, by bicubic interpolation; of DINOv3 the whole, bilinearly.
fn preprocessing(config: &VitConfig, rotary: bool) -> Preprocessing {
    let side = config.image_size as u32;
    let square = Size { height: side, width: side };
    let (resize, filter) = if rotary {
        (Resize::Exact(square), Filter::Bilinear)
    } else {
        (Resize::ShortestEdge((f64::from(side) * 256.0 / 224.0) as u32), Filter::Bicubic)
    };
    let [mean, std] = IMAGENET;
    let (crop, crop_offset) = (Some(square), CropOffset::Even);
    Preprocessing { resize, filter, crop, crop_offset, rescale: 1.0 / 255.0, mean, std }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facebooks_names_are_timms_or_of_no_part() {
        for (theirs, timm) in [
            ("blocks.1.20.mlp.w12.weight", "blocks.20.mlp.fc1.weight"),
            ("blocks.20.mlp.w3.bias", "blocks.20.mlp.fc2.bias"),
            ("blocks.0.mlp.w1.weight", "blocks.0.mlp.fc1_g.weight"),
            ("blocks.0.mlp.w2.weight", "blocks.0.mlp.fc1_x.weight"),
            ("blocks.3.ls1.gamma", "blocks.3.ls1.gamma"),
            ("blocks.0.0.norm1.weight", "blocks.0.norm1.weight"),
            ("register_tokens", "reg_token"),
            ("storage_tokens", "reg_token"),
            ("pos_embed", "pos_embed"),
            ("fc_norm.bias", "fc_norm.bias"),
        ] {
            assert_eq!(timm_name(theirs).as_deref(), Some(timm));
        }
        for left in [
            "mask_token",
            "decoder_blocks.0.norm1.weight",
            "decoder_pos_embed",
            "dino_head.mlp.0.weight",
            "rope_embed.periods",
            "blocks.0.attn.qkv.bias_mask",
        ] {
            assert_eq!(timm_name(left), None, "{left}");
        }
    }

    #[test]
    fn periods_in_sixteen_bits_show_the_rotation_and_others_are_refused() {
        let sixteen = |value: f64| f32::from_bits((value as f32).to_bits() & 0xffff_0000);
        let periods: Vec<f32> =
            (0..16).map(|n| sixteen(libm::pow(100.0, f64::from(n) / 16.0))).collect();
        let rotation = Rotation::of(Path::new("x.pth"), &periods).unwrap();
        assert_eq!((rotation.theta, rotation.periods), (100.0, 16));
        for other in [vec![], vec![1.0, 100.0], vec![0.0; 4]] {
            let said = Rotation::of(Path::new("x.pth"), &other).unwrap_err().to_string();
            assert!(said.contains("x.pth") && said.contains(PERIODS), "{said}");
        }
    }
}
