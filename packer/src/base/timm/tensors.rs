//! The parameters that timm's tensors are: packed ones are cut, and position tables become those of
//! the class token and the patches.

use std::collections::{BTreeMap, BTreeSet};

use medforge_runtime::tensors::Tensor;

use super::super::checkpoint;
use super::super::choices::Feature;
use super::super::parameters::parameter_shapes;
use super::super::stored::StoredTensor;
use super::super::vit_config::VitConfig;
use super::super::weight_files::WeightMap;
use super::layout::{Layout, POSITIONS, READ, REGISTERS, refuse};
use crate::Error;

/// Where a parameter is: a tensor, and which of so many equal parts of its rows.
struct Origin {
    tensor: String,
    part: usize,
    of: usize,
}

/// Every parameter of `config` by internal name.
///
/// # Errors
/// [`Error::TensorMissing`], [`Error::TensorShape`]; [`Error::Config`] for a tensor that is part
/// of nothing.
pub fn parameters(
    weights: &WeightMap,
    config: &VitConfig,
    layout: &Layout,
) -> Result<BTreeMap<String, StoredTensor>, Error> {
    let shapes = parameter_shapes(config);
    let mut origins: BTreeMap<String, Vec<(usize, &str)>> = BTreeMap::new();
    let mut parts = BTreeMap::new();
    for name in shapes.keys() {
        let Origin { tensor, part, of } = origin(name, weights, layout);
        parts.insert(tensor.clone(), of);
        origins.entry(tensor).or_default().push((part, name));
    }
    let names: BTreeSet<&str> = origins.keys().map(String::as_str).collect();
    let pools = Feature::of(config) == Feature::Attention;
    let left = |name: &str| {
        name == "mask_token"
            || name.starts_with("head.")
            || !pools && name.starts_with("attn_pool.")
    };
    let mut others = weights.tensors.keys().filter(|name| !names.contains(name.as_str()));
    if let Some(name) = others.find(|name| !left(name)) {
        return refuse(&weights.path, format!("holds {name}, which is not read; {READ}"));
    }
    let mut out = BTreeMap::new();
    for (tensor, ours) in origins.iter().filter(|(tensor, _)| *tensor != POSITIONS) {
        let mut shape = shapes[ours[0].1].clone();
        shape[0] *= parts[tensor];
        let whole = checkpoint::read(weights, tensor, shape)?;
        let length = whole.data.len() / parts[tensor];
        for (part, name) in ours {
            let values = match whole.data.chunks_exact(length).nth(*part) {
                Some(values) => values.to_vec(),
                None => continue,
            };
            let shape = shapes[*name].clone();
            let tensor = Tensor { shape, data: values, dtype: whole.dtype };
            out.insert((*name).to_owned(), tensor.into());
        }
    }
    if let Some(prefix) = layout.prefix {
        positions(weights, config, prefix, &mut out)?;
    }
    Ok(out)
}

/// Adds the table of the class token and the patches to `out`, and its rows for registers to
/// these.
fn positions(
    weights: &WeightMap,
    config: &VitConfig,
    prefix: usize,
    out: &mut BTreeMap<String, StoredTensor>,
) -> Result<(), Error> {
    let (width, class) = (config.hidden, usize::from(!config.no_class_token));
    let patches = (config.image_size / config.patch).pow(2);
    let mut table = checkpoint::read(weights, POSITIONS, vec![prefix + patches, width])?;
    if prefix == 0 {
        drop(table.data.splice(0..0, vec![0.0; class * width]));
    } else if prefix > class {
        let rows: Vec<f32> = table.data.drain(class * width..prefix * width).collect();
        if let Some(registers) = out.get_mut("embed.registers") {
            let tokens = registers.read().data;
            let sum = tokens.iter().zip(&rows).map(|(token, row)| token + row).collect();
            // A sum of two numbers of 16 bits is none of 16 bits.
            *registers = Tensor::f32(registers.shape.clone(), sum).into();
        }
    }
    table.shape = vec![class + patches, width];
    out.insert("embed.positions".to_owned(), table.into());
    Ok(())
}

/// Where the parameter `ours` is.
fn origin(ours: &str, weights: &WeightMap, layout: &Layout) -> Origin {
    let has = |name: &str| weights.tensors.contains_key(name);
    let whole = |tensor: String| Origin { tensor, part: 0, of: 1 };
    if let Some(rest) = ours.strip_prefix("norm.") {
        return whole(format!("{}.{rest}", layout.norm));
    }
    if let Some(rest) = ours.strip_prefix("embed.") {
        return whole(embedding(rest));
    }
    if let Some(rest) = ours.strip_prefix("pool.") {
        return pool(rest);
    }
    let Some((block, part)) = block_part(ours) else { return whole(ours.to_owned()) };
    let name = |part: &str| format!("{block}.{part}");
    let (layer, suffix) = part.rsplit_once('.').unwrap_or((part, ""));
    if let Some(part) = ["attn.q", "attn.k", "attn.v"].iter().position(|own| *own == layer) {
        let split = name(["attn.q_bias", "attn.k_bias", "attn.v_bias"][part]);
        return if suffix == "bias" && has(&split) {
            whole(split)
        } else {
            Origin { tensor: name(&format!("attn.qkv.{suffix}")), part, of: 3 }
        };
    }
    match layer {
        "attn.o" => whole(name(&format!("attn.proj.{suffix}"))),
        "mlp.gate" | "mlp.fc1" if layout.packed => {
            let part = usize::from(layer == "mlp.fc1");
            Origin { tensor: name(&format!("mlp.fc1.{suffix}")), part, of: 2 }
        }
        "mlp.gate" => whole(name(&format!("mlp.fc1_g.{suffix}"))),
        "mlp.fc1" if layout.config.gated => whole(name(&format!("mlp.fc1_x.{suffix}"))),
        _ => match part {
            "scale1" | "scale2" => {
                let number = &part[5..];
                let gamma = name(&format!("gamma_{number}"));
                whole(if has(&gamma) { gamma } else { name(&format!("ls{number}.gamma")) })
            }
            _ => whole(ours.to_owned()),
        },
    }
}

/// timm's name of a parameter before the blocks.
fn embedding(rest: &str) -> String {
    match rest {
        "cls" => "cls_token".to_owned(),
        "registers" => REGISTERS.to_owned(),
        "positions" => POSITIONS.to_owned(),
        _ => match rest.split_once('.') {
            Some(("patch", end)) => format!("patch_embed.proj.{end}"),
            Some(("norm", end)) => format!("norm_pre.{end}"),
            _ => format!("embed.{rest}"),
        },
    }
}

/// Where a parameter of the head that pools by attention is.
fn pool(rest: &str) -> Origin {
    let whole = |name: &str| Origin { tensor: format!("attn_pool.{name}"), part: 0, of: 1 };
    let Some(layer) = rest.strip_prefix("attn.") else {
        return if rest == "probe" { whole("latent") } else { whole(rest) };
    };
    let (layer, suffix) = layer.split_once('.').unwrap_or((layer, ""));
    match layer {
        "k" | "v" => {
            let part = usize::from(layer == "v");
            Origin { tensor: format!("attn_pool.kv.{suffix}"), part, of: 2 }
        }
        "o" => whole(&format!("proj.{suffix}")),
        _ => whole(&format!("{layer}.{suffix}")),
    }
}

/// `blocks.3.attn.q.weight` as (`blocks.3`, `attn.q.weight`).
fn block_part(name: &str) -> Option<(&str, &str)> {
    let number = name.strip_prefix("blocks.")?;
    let end = "blocks.".len() + number.find('.')?;
    Some((&name[..end], &name[end + 1..]))
}
