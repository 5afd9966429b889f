//! `model.safetensors` of a Hugging Face folder: the names of transformers 4 and 5 to internal names and back.

use std::collections::BTreeMap;
use std::path::Path;

use medforge_runtime::tensors::{self, Tensor};

use crate::Error;

use super::{Family, VitConfig};

/// One piece of a block: internal name, then the names that each family's files use, written form first.
struct Piece {
    ours: &'static str,
    dinov2: &'static [&'static str],
    vit: &'static [&'static str],
}

const PIECES: [Piece; 10] = [
    Piece { ours: "norm1", dinov2: &["norm1"], vit: &["layernorm_before"] },
    Piece {
        ours: "attn.q",
        dinov2: &["attention.attention.query", "attention.q_proj"],
        vit: &["attention.attention.query", "attention.q_proj"],
    },
    Piece {
        ours: "attn.k",
        dinov2: &["attention.attention.key", "attention.k_proj"],
        vit: &["attention.attention.key", "attention.k_proj"],
    },
    Piece {
        ours: "attn.v",
        dinov2: &["attention.attention.value", "attention.v_proj"],
        vit: &["attention.attention.value", "attention.v_proj"],
    },
    Piece {
        ours: "attn.o",
        dinov2: &["attention.output.dense", "attention.o_proj"],
        vit: &["attention.output.dense", "attention.o_proj"],
    },
    Piece { ours: "scale1", dinov2: &["layer_scale1.lambda1"], vit: &[] },
    Piece { ours: "norm2", dinov2: &["norm2"], vit: &["layernorm_after"] },
    Piece { ours: "mlp.fc1", dinov2: &["mlp.fc1"], vit: &["intermediate.dense", "mlp.fc1"] },
    Piece { ours: "mlp.fc2", dinov2: &["mlp.fc2"], vit: &["output.dense", "mlp.fc2"] },
    Piece { ours: "scale2", dinov2: &["layer_scale2.lambda1"], vit: &[] },
];

/// Pieces outside of blocks.
const ENDS: [(&str, &str); 6] = [
    ("embed.cls", "embeddings.cls_token"),
    ("embed.positions", "embeddings.position_embeddings"),
    ("embed.patch.weight", "embeddings.patch_embeddings.projection.weight"),
    ("embed.patch.bias", "embeddings.patch_embeddings.projection.bias"),
    ("norm.weight", "layernorm.weight"),
    ("norm.bias", "layernorm.bias"),
];

/// Every parameter by internal name, with its shape.
pub fn parameter_shapes(config: &VitConfig) -> BTreeMap<String, Vec<usize>> {
    let (d, p, m) = (config.hidden, config.patch, config.mlp);
    let mut shapes = BTreeMap::from([
        ("embed.cls".to_owned(), vec![d]),
        ("embed.positions".to_owned(), vec![config.tokens(config.image_size), d]),
        ("embed.patch.weight".to_owned(), vec![d, 3, p, p]),
        ("embed.patch.bias".to_owned(), vec![d]),
        ("norm.weight".to_owned(), vec![d]),
        ("norm.bias".to_owned(), vec![d]),
    ]);
    for n in 0..config.layers {
        let mut add = |name: &str, shape: &[usize]| shapes.insert(format!("blocks.{n}.{name}"), shape.to_vec());
        for norm in ["norm1", "norm2"] {
            add(&format!("{norm}.weight"), &[d]);
            add(&format!("{norm}.bias"), &[d]);
        }
        for (linear, out, inputs) in [
            ("attn.q", d, d),
            ("attn.k", d, d),
            ("attn.v", d, d),
            ("attn.o", d, d),
            ("mlp.fc1", m, d),
            ("mlp.fc2", d, m),
        ] {
            add(&format!("{linear}.weight"), &[out, inputs]);
            if config.qkv_bias || !matches!(linear, "attn.q" | "attn.k" | "attn.v") {
                add(&format!("{linear}.bias"), &[out]);
            }
        }
        if config.layer_scale {
            add("scale1", &[d]);
            add("scale2", &[d]);
        }
    }
    shapes
}

/// Reads every parameter that `config` asks for; what else the file holds (heads, poolers, mask tokens) is left.
/// Messages name `path`.
pub fn parse(bytes: &[u8], path: &Path, config: &VitConfig) -> Result<BTreeMap<String, Tensor>, Error> {
    let mut found = tensors::read(bytes, &path.display().to_string())?;
    let prefix = match config.family {
        Family::Dinov2 => "dinov2.",
        Family::Vit => "vit.",
    };
    let mut out = BTreeMap::new();
    for (name, shape) in parameter_shapes(config) {
        let names = file_names(config.family, &name);
        let key = names.iter().flat_map(|n| [n.clone(), format!("{prefix}{n}")]).find(|n| found.contains_key(n));
        let Some(mut tensor) = key.as_ref().and_then(|key| found.remove(key)) else {
            return Err(Error::TensorMissing { path: path.to_owned(), tensor: names[0].clone() });
        };
        let squeezed = |shape: &[usize]| shape.iter().copied().skip_while(|s| *s == 1).collect::<Vec<_>>();
        if squeezed(&tensor.shape) != squeezed(&shape) {
            return Err(Error::TensorShape {
                path: path.to_owned(),
                tensor: key.unwrap_or_default(),
                found: tensor.shape,
                expected: shape,
            });
        }
        tensor.shape = shape;
        out.insert(name, tensor);
    }
    Ok(out)
}

/// The file with the names that transformers writes.
pub fn write(config: &VitConfig, tensors: &BTreeMap<String, Tensor>) -> Result<Vec<u8>, Error> {
    let renamed: Vec<(String, Tensor)> = tensors
        .iter()
        .map(|(name, tensor)| {
            let mut tensor = tensor.clone();
            match name.as_str() {
                "embed.cls" => tensor.shape = vec![1, 1, config.hidden],
                "embed.positions" => tensor.shape.insert(0, 1),
                _ => {}
            }
            (file_names(config.family, name).swap_remove(0), tensor)
        })
        .collect();
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    Ok(tensors::write(renamed.iter().map(|(n, t)| (n.as_str(), t)), &metadata)?)
}

/// The path of a site's linear layer inside transformers 5's module tree, as PEFT writes it.
pub fn adapter_path(family: Family, site: &str) -> Option<String> {
    let (n, piece) = block_part(site)?;
    let last = names(family, piece)?.last()?;
    Some(match family {
        Family::Dinov2 => format!("encoder.layer.{n}.{last}"),
        Family::Vit => format!("layers.{n}.{last}"),
    })
}

/// The site that a PEFT path of transformers 4 or 5 means, with or without a model's name in front.
pub fn site_of_adapter_path(family: Family, path: &str) -> Option<String> {
    let path = path.strip_prefix("dinov2.").or(path.strip_prefix("vit.")).unwrap_or(path);
    let rest = path.strip_prefix("encoder.layer.").or(path.strip_prefix("layers."))?;
    let (n, rest) = rest.split_once('.')?;
    let n: usize = n.parse().ok()?;
    let linear = |p: &&Piece| p.ours.starts_with("attn.") || p.ours.starts_with("mlp.");
    let piece = PIECES.iter().filter(linear).find(|p| names_of(p, family).contains(&rest))?;
    Some(format!("blocks.{n}.{}", piece.ours))
}

/// The names a parameter may have in a file, the one that transformers writes first.
fn file_names(family: Family, name: &str) -> Vec<String> {
    if let Some((_, theirs)) = ENDS.iter().find(|(ours, _)| *ours == name) {
        return vec![(*theirs).to_owned()];
    }
    let (n, piece) = block_part(name).expect("every other parameter belongs to a block");
    let (piece, suffix) = match piece.strip_suffix(".weight").map(|p| (p, ".weight")) {
        Some(split) => split,
        None => piece.strip_suffix(".bias").map_or((piece, ""), |p| (p, ".bias")),
    };
    let prefixes: &[&str] = match family {
        Family::Dinov2 => &["encoder.layer"],
        Family::Vit => &["encoder.layer", "layers"],
    };
    let names = names(family, piece).expect("every piece of a block is in the table");
    prefixes.iter().flat_map(|prefix| names.iter().map(move |name| format!("{prefix}.{n}.{name}{suffix}"))).collect()
}

/// `blocks.3.attn.q` as (3, `attn.q`).
fn block_part(name: &str) -> Option<(usize, &str)> {
    let (n, piece) = name.strip_prefix("blocks.")?.split_once('.')?;
    Some((n.parse().ok()?, piece))
}

fn names(family: Family, ours: &str) -> Option<&'static [&'static str]> {
    PIECES.iter().find(|p| p.ours == ours).map(|p| names_of(p, family))
}

fn names_of(piece: &Piece, family: Family) -> &'static [&'static str] {
    match family {
        Family::Dinov2 => piece.dinov2,
        Family::Vit => piece.vit,
    }
}
