//! The forward pass on the tape: images in, the CLS token after the last layer norm (CLIP: and the
//! visual projection) out, and on request the tokens of any block.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::device::{AttentionSize, Device, PatchSize};
use crate::tape::{LowRank, Tape, Tensor, Var};

use super::{PROJECTION, Vit, VitConfig, positions};

/// A base's weights on a device, frozen, for images of one size.
#[derive(Clone)]
pub struct Weights<D: Device> {
    pub config: VitConfig,
    pub image_size: usize,
    /// Whether a pass keeps only what goes into each block, and the backward pass
    /// [recomputes](Tape::recomputed) the rest. Blocks are not observed then.
    pub recompute: bool,
    vars: Arc<BTreeMap<String, Var<D>>>,
}

impl<D: Device + 'static> Weights<D> {
    /// Uploads the weights; positions are interpolated to `image_size` once.
    pub fn frozen(device: &D, vit: &Vit, image_size: usize) -> Self {
        let grid = |size: usize| size / vit.config.patch;
        let vars = vit.tensors.iter().map(|(name, tensor)| {
            let value = match name.as_str() {
                "embed.positions" => {
                    let table = positions::interpolate(
                        &tensor.data,
                        grid(vit.config.image_size),
                        grid(image_size),
                    );
                    Tensor::frozen(device, &table, vit.config.tokens(image_size), vit.config.hidden)
                }
                _ => matrix(device, &tensor.shape, &tensor.data, Tensor::frozen),
            };
            (name.clone(), Var::constant(value))
        });
        Weights {
            config: vit.config.clone(),
            image_size,
            recompute: false,
            vars: Arc::new(vars.collect()),
        }
    }

    /// Weights that are all trained: `vars` holds every parameter, positions in the base's own
    /// grid.
    pub fn trained(config: VitConfig, image_size: usize, vars: BTreeMap<String, Var<D>>) -> Self {
        Weights { config, image_size, recompute: false, vars: Arc::new(vars) }
    }

    fn get(&self, name: &str) -> &Var<D> {
        self.vars.get(name).unwrap_or_else(|| panic!("the base has no parameter {name}"))
    }
}

/// A parameter as a matrix, the first dimension as rows and a vector as one row, brought to the
/// device by `upload`.
pub fn matrix<D: Device>(
    device: &D,
    shape: &[usize],
    data: &[f32],
    upload: impl FnOnce(&D, &[f32], usize, usize) -> Tensor<D>,
) -> Tensor<D> {
    let rows = if shape.len() == 1 { 1 } else { shape[0] };
    upload(device, data, rows, data.len() / rows)
}

/// The features [batch, features] of `images` [batch, 3*size*size] under `weights` and the low-rank
/// branches of `sites`.
pub fn forward<D: Device + 'static>(
    tape: &Tape<D>,
    weights: &Weights<D>,
    sites: &BTreeMap<String, LowRank<D>>,
    device: &D,
    images: &Var<D>,
) -> Var<D> {
    forward_with_tokens(tape, weights, sites, device, images, &[]).0
}

/// [`forward`], and all tokens [batch*tokens, hidden] as they leave each block of `blocks`
/// (ascending, counted from 0).
pub fn forward_with_tokens<D: Device + 'static>(
    tape: &Tape<D>,
    weights: &Weights<D>,
    sites: &BTreeMap<String, LowRank<D>>,
    device: &D,
    images: &Var<D>,
    blocks: &[usize],
) -> (Var<D>, Vec<Var<D>>) {
    forward_observed(tape, weights, sites, device, images, blocks, &|_, _| ())
}

/// [`forward_with_tokens`]; `observe` is shown what goes into the linear layer at each site. Of the
/// last block's layers after its attention that is one row an image, unless the block's tokens are
/// wanted.
pub fn forward_observed<D: Device + 'static>(
    tape: &Tape<D>,
    weights: &Weights<D>,
    sites: &BTreeMap<String, LowRank<D>>,
    device: &D,
    images: &Var<D>,
    blocks: &[usize],
    observe: &dyn Fn(&str, &Var<D>),
) -> (Var<D>, Vec<Var<D>>) {
    run(tape, weights, sites, device, images, &Look { blocks, leaf: None, observe })
}

/// The features, and the tokens [batch*tokens, hidden] that enter `block` (counted from 0) as a
/// parameter of the tape: the gradient of whatever follows from the features is known there, and
/// nothing before is gone back through.
pub fn forward_from_leaf<D: Device + 'static>(
    tape: &Tape<D>,
    weights: &Weights<D>,
    sites: &BTreeMap<String, LowRank<D>>,
    device: &D,
    images: &Var<D>,
    block: usize,
) -> (Var<D>, Var<D>) {
    let (feature, leaf) = run(
        tape,
        weights,
        sites,
        device,
        images,
        &Look { blocks: &[], leaf: Some(block), observe: &|_, _| () },
    );
    (feature, leaf.into_iter().next().expect("the block is one of the base's"))
}

/// What a caller wants to see of a forward pass beside the features.
struct Look<'a, D: Device> {
    /// Blocks whose tokens are given back as they leave.
    blocks: &'a [usize],
    /// A block whose tokens are given back as they enter, as a parameter.
    leaf: Option<usize>,
    observe: &'a dyn Fn(&str, &Var<D>),
}

fn run<D: Device + 'static>(
    tape: &Tape<D>,
    weights: &Weights<D>,
    sites: &BTreeMap<String, LowRank<D>>,
    device: &D,
    images: &Var<D>,
    look: &Look<D>,
) -> (Var<D>, Vec<Var<D>>) {
    let Look { blocks, leaf, observe } = *look;
    let config = &weights.config;
    let (batch, size) = (images.value.rows, weights.image_size);
    let tokens = config.tokens(size);
    let patches =
        tape.patches(images, PatchSize { batch, height: size, width: size, patch: config.patch });
    let embedded = tape.linear(
        &patches,
        weights.get("embed.patch.weight"),
        weights.vars.get("embed.patch.bias"),
        None,
    );
    let table = weights.get("embed.positions");
    let table = if table.value.rows == tokens {
        table.clone()
    } else {
        let (from, to) = (config.image_size / config.patch, size / config.patch);
        let matrix = Tensor::new(device, &positions::matrix(from, to), tokens, table.value.rows);
        tape.resample(&matrix, table)
    };
    let mut x = tape.tokens(&embedded, weights.get("embed.cls"), &table);
    if config.pre_norm() {
        x = tape.layer_norm(
            &x,
            weights.get("embed.norm.weight"),
            weights.get("embed.norm.bias"),
            config.eps,
        );
    }
    let mut seen = Vec::with_capacity(blocks.len());
    let shared = weights.recompute.then(|| Rc::new((weights.clone(), sites.clone())));
    for n in 0..config.layers {
        if leaf == Some(n) {
            x = tape.parameter(x.value);
            seen.push(x.clone());
        }
        let last = n + 1 == config.layers;
        let wanted = blocks.contains(&n);
        // Only the CLS token is asked of the last block: nothing after its attention mixes tokens.
        let cls_only = last && !wanted;
        x = match shared.clone() {
            Some(shared) => tape.recomputed(move |tape| {
                let (weights, sites) = &*shared;
                block(tape, weights, sites, n, x.clone(), cls_only, &|_, _| ())
            }),
            None => block(tape, weights, sites, n, x, cls_only, observe),
        };
        if wanted {
            seen.push(x.clone());
            if last {
                x = tape.first_rows(&x, tokens);
            }
        }
    }
    let mut feature =
        tape.layer_norm(&x, weights.get("norm.weight"), weights.get("norm.bias"), config.eps);
    if config.projection.is_some() {
        observe(PROJECTION, &feature);
        feature =
            tape.linear(&feature, weights.get("projection.weight"), None, sites.get(PROJECTION));
    }
    (feature, seen)
}

/// Block `n` of `x` [batch*tokens, hidden]: the result has x's shape, or with `cls_only` one row an
/// image.
fn block<D: Device + 'static>(
    tape: &Tape<D>,
    weights: &Weights<D>,
    sites: &BTreeMap<String, LowRank<D>>,
    n: usize,
    mut x: Var<D>,
    cls_only: bool,
    observe: &dyn Fn(&str, &Var<D>),
) -> Var<D> {
    let config = &weights.config;
    let tokens = config.tokens(weights.image_size);
    let (batch, width) = (x.value.rows / tokens, config.hidden / config.heads);
    let get = |name: &str| weights.get(&format!("blocks.{n}.{name}"));
    let linear = |x: &Var<D>, name: &str| {
        let site = format!("blocks.{n}.{name}");
        observe(&site, x);
        let bias = weights.vars.get(&format!("{site}.bias"));
        tape.linear(x, get(&format!("{name}.weight")), bias, sites.get(&site))
    };
    let norm = |x: &Var<D>, name: &str| {
        tape.layer_norm(x, get(&format!("{name}.weight")), get(&format!("{name}.bias")), config.eps)
    };
    let scale = |name: &str| config.layer_scale.then(|| get(name));
    let y = norm(&x, "norm1");
    let (q, k, v) = (linear(&y, "attn.q"), linear(&y, "attn.k"), linear(&y, "attn.v"));
    let mut y =
        tape.attention(&q, &k, &v, AttentionSize { batch, tokens, heads: config.heads, width });
    if cls_only {
        (x, y) = (tape.first_rows(&x, tokens), tape.first_rows(&y, tokens));
    }
    x = tape.residual(&x, &linear(&y, "attn.o"), scale("scale1"));
    let site = format!("blocks.{n}.mlp.fc1");
    let bias = weights.vars.get(&format!("{site}.bias"));
    let y = norm(&x, "norm2");
    observe(&site, &y);
    let y = tape.linear_activation(
        config.activation,
        &y,
        get("mlp.fc1.weight"),
        bias,
        sites.get(&site),
    );
    tape.residual(&x, &linear(&y, "mlp.fc2"), scale("scale2"))
}
