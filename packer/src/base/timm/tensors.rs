//! What timm's tensors say of the network, and the parameters that they are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use medforge_runtime::tensors::Tensor;

use super::super::checkpoint;
use super::super::parameters::parameter_shapes;
use super::super::stored::StoredTensor;
use super::super::vit_config::{
    Family, MAX_HIDDEN, MAX_IMAGE_SIZE, MAX_LAYERS, MAX_PATCH, VitConfig,
};
use super::super::weight_files::{WeightMap, WeightView};
use crate::Error;
use crate::device::Activation;

/// What refusals say that is read.
pub const READ: &str = "packer reads plain vision transformers with a class token";

pub fn refuse<T>(path: &Path, what: String) -> Result<T, Error> {
    Err(Error::Config { path: path.to_owned(), what })
}

/// The shape that the tensors have, with one head.
pub fn shape(
    views: &BTreeMap<String, WeightView>,
    path: &Path,
    activation: Activation,
) -> Result<VitConfig, Error> {
    let sides = |name: &str| match views.get(name) {
        Some(view) => Ok(view.shape.as_slice()),
        None => Err(Error::TensorMissing { path: path.to_owned(), tensor: name.to_owned() }),
    };
    let odd = |name: &str, expected: &str| -> Result<VitConfig, Error> {
        refuse(path, format!("{name} has shape {:?}, not {expected}", sides(name)?))
    };
    if !views.contains_key("cls_token") {
        return refuse(path, format!("holds no cls_token; {READ}"));
    }
    let &[hidden, 3, patch, wide] = sides(PATCHES)? else {
        return odd(PATCHES, "[width, 3, patch, patch]");
    };
    let &[1, tokens, _] = sides(POSITIONS)? else { return odd(POSITIONS, "[1, tokens, width]") };
    let (&[mlp, _], &[_, narrow]) = (sides(FC1)?, sides(FC2)?) else {
        return odd(FC1, "of two sides");
    };
    let layers =
        (0..).take_while(|n| views.contains_key(&format!("blocks.{n}.norm1.weight"))).count();
    let image_size = grid(path, tokens)?.saturating_mul(patch);
    if mlp == 2 * narrow {
        let what = format!("{FC1} is twice as wide as {FC2}: SwiGLU is not read; {READ}");
        return refuse(path, what);
    }
    let small = patch <= MAX_PATCH && image_size <= MAX_IMAGE_SIZE;
    if patch != wide || !small || hidden > MAX_HIDDEN || layers > MAX_LAYERS {
        let most = format!(
            "square patches, {MAX_IMAGE_SIZE} pixels, {MAX_HIDDEN} wide, {MAX_LAYERS} blocks"
        );
        return refuse(path, format!("describes a base out of range; packer reads up to {most}"));
    }
    let layer_scale = views.contains_key("blocks.0.ls1.gamma");
    Ok(VitConfig {
        family: if layer_scale { Family::Dinov2 } else { Family::Vit },
        image_size,
        patch,
        hidden,
        layers,
        heads: 1,
        mlp,
        activation,
        layer_scale,
        qkv_bias: views.contains_key("blocks.0.attn.qkv.bias"),
        ..VitConfig::PLAIN
    })
}

/// Patches on a side, of a table of `tokens` positions.
fn grid(path: &Path, tokens: usize) -> Result<usize, Error> {
    let patches = tokens.saturating_sub(1);
    let grid = patches.isqrt();
    if grid > 0 && grid * grid == patches {
        return Ok(grid);
    }
    let what = if tokens.isqrt().pow(2) == tokens {
        "none for the class token"
    } else {
        "not one and a square"
    };
    refuse(path, format!("{POSITIONS} has {tokens} rows, {what}; {READ} in the position table"))
}

/// Every parameter by internal name; q, k and v are the thirds of one tensor.
pub fn parameters(
    weights: &WeightMap,
    config: &VitConfig,
) -> Result<BTreeMap<String, StoredTensor>, Error> {
    let (views, path) = (&weights.tensors, &weights.path);
    let shapes = parameter_shapes(config);
    let names: BTreeSet<String> = shapes.keys().map(|name| file_name(name)).collect();
    let left = |name: &&String| *name == "mask_token" || name.starts_with("head.");
    if let Some(name) = views.keys().find(|name| !names.contains(*name) && !left(name)) {
        return refuse(path, format!("holds {name}, which is not read; {READ}"));
    }
    let mut out = BTreeMap::new();
    for (name, mut shape) in shapes {
        let theirs = file_name(&name);
        let third = |layer: &str| name.replace(".attn.q.", layer);
        let thirds = match name.contains(".attn.q.") {
            true => vec![name.clone(), third(".attn.k."), third(".attn.v.")],
            false if theirs.contains(".attn.qkv.") => continue,
            false => vec![name],
        };
        let own = shape.clone();
        shape[0] *= thirds.len();
        let whole = checkpoint::read(weights, &theirs, shape)?;
        let length = whole.data.len() / thirds.len();
        for (name, values) in thirds.into_iter().zip(whole.data.chunks_exact(length)) {
            let (shape, data) = (own.clone(), values.to_vec());
            out.insert(name, Tensor { shape, data, dtype: whole.dtype }.into());
        }
    }
    Ok(out)
}

/// timm's name of the tensor that holds a parameter.
fn file_name(ours: &str) -> String {
    let theirs = [
        ("embed.cls", "cls_token"),
        ("embed.positions", POSITIONS),
        ("embed.patch.", "patch_embed.proj."),
        (".attn.q.", ".attn.qkv."),
        (".attn.k.", ".attn.qkv."),
        (".attn.v.", ".attn.qkv."),
        (".attn.o.", ".attn.proj."),
        (".scale1", ".ls1.gamma"),
        (".scale2", ".ls2.gamma"),
    ];
    let found = theirs.iter().find(|(part, _)| ours.contains(part));
    found.map_or_else(|| ours.to_owned(), |(part, name)| ours.replace(part, name))
}

/// What a tensor of a network that is not read belongs to.
pub fn oddity(name: &str) -> Option<&'static str> {
    let ends = |end: &str| name.split('.').any(|part| part == end);
    ODDITIES.iter().find(|(part, _)| ends(part)).map(|(_, what)| *what)
}

const ODDITIES: [(&str, &str); 13] = [
    ("reg_token", "register tokens are"),
    ("register_tokens", "register tokens are"),
    ("dist_token", "a distillation token is"),
    ("fc_norm", "mean pooling (fc_norm) is"),
    ("attn_pool", "attention pooling is"),
    ("norm_pre", "a norm before the blocks is"),
    ("q_norm", "norms of queries and keys are"),
    ("k_norm", "norms of queries and keys are"),
    ("w12", "SwiGLU is"),
    ("fc1_g", "SwiGLU is"),
    ("rope", "rotary position embedding is"),
    ("gamma_1", "layer scale in this form (gamma_1) is"),
    ("backbone", "a convolutional stem is"),
];

const PATCHES: &str = "patch_embed.proj.weight";
const POSITIONS: &str = "pos_embed";
const FC1: &str = "blocks.0.mlp.fc1.weight";
const FC2: &str = "blocks.0.mlp.fc2.weight";
