//! `model.safetensors` of a Hugging Face folder: the names of transformers 4 and 5 to internal
//! names and back.

use std::collections::BTreeMap;
use std::path::Path;

use medforge_runtime::tensors::{self, Tensor, View};

use crate::Error;

use super::{Family, VitConfig};

/// Our name for a part, then the names that each family's files use, the written form first.
struct Part {
    ours: &'static str,
    clip: &'static [&'static str],
    dinov2: &'static [&'static str],
    vit: &'static [&'static str],
}

impl Part {
    fn names(&self, family: Family) -> &'static [&'static str] {
        match family {
            Family::Clip => self.clip,
            Family::Dinov2 => self.dinov2,
            Family::Vit => self.vit,
        }
    }
}

/// The parts of a block.
const BLOCK: [Part; 10] = [
    Part { ours: "norm1", clip: &["layer_norm1"], dinov2: &["norm1"], vit: &["layernorm_before"] },
    Part {
        ours: "attn.q",
        clip: &["self_attn.q_proj"],
        dinov2: &["attention.attention.query", "attention.q_proj"],
        vit: &["attention.attention.query", "attention.q_proj"],
    },
    Part {
        ours: "attn.k",
        clip: &["self_attn.k_proj"],
        dinov2: &["attention.attention.key", "attention.k_proj"],
        vit: &["attention.attention.key", "attention.k_proj"],
    },
    Part {
        ours: "attn.v",
        clip: &["self_attn.v_proj"],
        dinov2: &["attention.attention.value", "attention.v_proj"],
        vit: &["attention.attention.value", "attention.v_proj"],
    },
    Part {
        ours: "attn.o",
        clip: &["self_attn.out_proj"],
        dinov2: &["attention.output.dense", "attention.o_proj"],
        vit: &["attention.output.dense", "attention.o_proj"],
    },
    Part { ours: "scale1", clip: &[], dinov2: &["layer_scale1.lambda1"], vit: &[] },
    Part { ours: "norm2", clip: &["layer_norm2"], dinov2: &["norm2"], vit: &["layernorm_after"] },
    Part {
        ours: "mlp.fc1",
        clip: &["mlp.fc1"],
        dinov2: &["mlp.fc1"],
        vit: &["intermediate.dense", "mlp.fc1"],
    },
    Part {
        ours: "mlp.fc2",
        clip: &["mlp.fc2"],
        dinov2: &["mlp.fc2"],
        vit: &["output.dense", "mlp.fc2"],
    },
    Part { ours: "scale2", clip: &[], dinov2: &["layer_scale2.lambda1"], vit: &[] },
];

/// The parts outside of blocks. CLIP's files misspell the first norm's name.
const ENDS: [Part; 6] = [
    Part {
        ours: "embed.cls",
        clip: &["vision_model.embeddings.class_embedding"],
        dinov2: &["embeddings.cls_token"],
        vit: &["embeddings.cls_token"],
    },
    Part {
        ours: "embed.positions",
        clip: &["vision_model.embeddings.position_embedding.weight"],
        dinov2: &["embeddings.position_embeddings"],
        vit: &["embeddings.position_embeddings"],
    },
    Part {
        ours: "embed.patch",
        clip: &["vision_model.embeddings.patch_embedding"],
        dinov2: &["embeddings.patch_embeddings.projection"],
        vit: &["embeddings.patch_embeddings.projection"],
    },
    Part { ours: "embed.norm", clip: &["vision_model.pre_layrnorm"], dinov2: &[], vit: &[] },
    Part {
        ours: "norm",
        clip: &["vision_model.post_layernorm"],
        dinov2: &["layernorm"],
        vit: &["layernorm"],
    },
    Part { ours: PROJECTION, clip: &["visual_projection"], dinov2: &[], vit: &[] },
];

/// The site that brings the feature to the width that images and texts share.
pub const PROJECTION: &str = "projection";

/// Where a family's blocks are, the written form first.
fn blocks(family: Family) -> &'static [&'static str] {
    match family {
        Family::Clip => &["vision_model.encoder.layers"],
        Family::Dinov2 => &["encoder.layer"],
        Family::Vit => &["encoder.layer", "layers"],
    }
}

/// The name of the model that may stand in front of every name of a family.
fn prefix(family: Family) -> &'static str {
    match family {
        Family::Clip => "clip.",
        Family::Dinov2 => "dinov2.",
        Family::Vit => "vit.",
    }
}

/// Every parameter by internal name, with its shape.
pub fn parameter_shapes(config: &VitConfig) -> BTreeMap<String, Vec<usize>> {
    let (d, p, m) = (config.hidden, config.patch, config.mlp);
    let mut shapes = BTreeMap::from([
        ("embed.cls".to_owned(), vec![d]),
        ("embed.positions".to_owned(), vec![config.tokens(config.image_size), d]),
        ("embed.patch.weight".to_owned(), vec![d, 3, p, p]),
        ("norm.weight".to_owned(), vec![d]),
        ("norm.bias".to_owned(), vec![d]),
    ]);
    if config.pre_norm() {
        shapes.extend(["weight", "bias"].map(|half| (format!("embed.norm.{half}"), vec![d])))
    } else {
        shapes.extend([("embed.patch.bias".to_owned(), vec![d])])
    }
    shapes.extend(config.projection.map(|width| (format!("{PROJECTION}.weight"), vec![width, d])));
    for n in 0..config.layers {
        let mut add = |name: &str, shape: &[usize]| {
            shapes.insert(format!("blocks.{n}.{name}"), shape.to_vec())
        };
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

/// Reads every parameter that `config` asks for; what else the file holds (heads, poolers, mask
/// tokens, a text tower) is left. Messages name `path`.
pub fn parse(
    bytes: &[u8],
    path: &Path,
    config: &VitConfig,
) -> Result<BTreeMap<String, Tensor>, Error> {
    let found = tensors::views(bytes, &path.display().to_string())?;
    let mut out = BTreeMap::new();
    for (name, shape) in parameter_shapes(config) {
        let names = file_names(config.family, &name);
        let prefix = prefix(config.family);
        let key = names
            .iter()
            .flat_map(|n| [n.clone(), format!("{prefix}{n}")])
            .find(|n| found.contains_key(n));
        out.insert(name, read(&found, path, key.as_ref().unwrap_or(&names[0]), shape)?);
    }
    Ok(out)
}

/// The tensor `name` of the file at `path`, in `shape`: its own shape may have other sides of one
/// in front.
pub fn read(
    views: &BTreeMap<String, View>,
    path: &Path,
    name: &str,
    shape: Vec<usize>,
) -> Result<Tensor, Error> {
    let Some(view) = views.get(name) else {
        return Err(Error::TensorMissing { path: path.to_owned(), tensor: name.to_owned() });
    };
    let squeezed =
        |shape: &[usize]| shape.iter().copied().skip_while(|s| *s == 1).collect::<Vec<_>>();
    if squeezed(&view.shape) != squeezed(&shape) {
        let (tensor, found) = (name.to_owned(), view.shape.clone());
        return Err(Error::TensorShape { path: path.to_owned(), tensor, found, expected: shape });
    }
    Ok(Tensor { shape, ..view.read()? })
}

/// The file with the names that transformers writes.
pub fn write(config: &VitConfig, tensors: &BTreeMap<String, Tensor>) -> Result<Vec<u8>, Error> {
    let renamed: Vec<(String, Tensor)> = tensors
        .iter()
        .map(|(name, tensor)| {
            let mut tensor = tensor.clone();
            match name.as_str() {
                "embed.cls" if config.family != Family::Clip => {
                    tensor.shape = vec![1, 1, config.hidden]
                }
                "embed.positions" if config.family != Family::Clip => tensor.shape.insert(0, 1),
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
    let Some((n, part)) = block_part(site) else {
        return end(site)?.names(family).last().map(|name| (*name).to_owned());
    };
    let last = BLOCK.iter().find(|p| p.ours == part)?.names(family).last()?;
    Some(format!("{}.{n}.{last}", blocks(family).last()?))
}

/// The sites that a PEFT path means: of transformers 4 or 5, with or without a model's name in
/// front, or of timm, where one layer is q, k and v, each a third of its rows.
pub fn sites_of_adapter_path(family: Family, path: &str) -> Vec<String> {
    let timm = |path: &str| {
        let (n, part) = block_part(path).filter(|_| family != Family::Clip)?;
        let parts: &[&str] = match part {
            "attn.qkv" => &["attn.q", "attn.k", "attn.v"],
            "attn.proj" => &["attn.o"],
            "mlp.fc1" => &["mlp.fc1"],
            "mlp.fc2" => &["mlp.fc2"],
            _ => return None,
        };
        Some(parts.iter().map(|part| format!("blocks.{n}.{part}")).collect())
    };
    timm(path).unwrap_or_else(|| site_of_adapter_path(family, path).into_iter().collect())
}

fn site_of_adapter_path(family: Family, path: &str) -> Option<String> {
    let path = path.strip_prefix(prefix(family)).unwrap_or(path);
    if end(PROJECTION)?.names(family).contains(&path) {
        return Some(PROJECTION.to_owned());
    }
    // Either form of a block's place goes with either form of its parts' names.
    let rest = ["encoder.layer.", "layers."].into_iter().find_map(|at| match family {
        Family::Clip => path.strip_prefix("vision_model.encoder.layers."),
        _ => path.strip_prefix(at),
    })?;
    let (n, rest) = rest.split_once('.')?;
    let n: usize = n.parse().ok()?;
    let linear = |p: &&Part| p.ours.starts_with("attn.") || p.ours.starts_with("mlp.");
    let part = BLOCK.iter().filter(linear).find(|p| p.names(family).contains(&rest))?;
    Some(format!("blocks.{n}.{}", part.ours))
}

/// The names a parameter may have in a file, the one that transformers writes first.
fn file_names(family: Family, name: &str) -> Vec<String> {
    let (whole, suffix) = match name.strip_suffix(".weight").map(|p| (p, ".weight")) {
        Some(split) => split,
        None => name.strip_suffix(".bias").map_or((name, ""), |p| (p, ".bias")),
    };
    let known = "every parameter is in the tables";
    let Some((n, part)) = block_part(whole) else {
        let names = end(whole).expect(known).names(family).iter();
        return names.map(|name| format!("{name}{suffix}")).collect();
    };
    let names = BLOCK.iter().find(|p| p.ours == part).expect(known).names(family);
    let places = blocks(family).iter();
    places
        .flat_map(|place| names.iter().map(move |name| format!("{place}.{n}.{name}{suffix}")))
        .collect()
}

fn end(ours: &str) -> Option<&'static Part> {
    ENDS.iter().find(|p| p.ours == ours)
}

/// `blocks.3.attn.q` as (3, `attn.q`).
fn block_part(name: &str) -> Option<(usize, &str)> {
    let (n, part) = name.strip_prefix("blocks.")?.split_once('.')?;
    Some((n.parse().ok()?, part))
}
