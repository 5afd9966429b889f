//! What timm's tensors say of the network that they are of, and how they are laid out.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::choices::Feature;
use super::super::vit_config::{
    Family, Interpolation, MAX_HIDDEN, MAX_IMAGE_SIZE, MAX_LAYERS, MAX_PATCH, Positions, VitConfig,
};
use super::super::weight_files::{WeightMap, WeightView};
use super::known::Known;
use crate::Error;
use crate::device::Activation;

/// What refusals say that is read.
pub const READ: &str = "packer reads vision transformers of plain blocks";

pub fn refuse<T>(path: &Path, what: String) -> Result<T, Error> {
    Err(Error::Config { path: path.to_owned(), what })
}

/// A network as its tensors show it.
#[derive(Clone, Debug)]
pub struct Layout {
    /// With one head, and with the feature that timm has of it.
    pub config: VitConfig,
    /// Rows of the position table before those of the patches; none without a table.
    pub prefix: Option<usize>,
    /// What the last norm is called.
    pub norm: &'static str,
    /// Whether there is a norm before the first block.
    pub first_norm: bool,
    /// Whether the gate and the layer that it is for are one tensor.
    pub packed: bool,
    /// The inner width of a head that pools by attention, where there is one.
    pub head: Option<usize>,
    /// The width of an attention head, where norms of queries and keys show it.
    pub head_width: Option<usize>,
}

impl Layout {
    /// What the tensors of `weights` are.
    ///
    /// # Errors
    /// [`Error::Config`], [`Error::TensorMissing`]: they are of no network that is read.
    pub fn of(weights: &WeightMap, known: &Known) -> Result<Self, Error> {
        Tensors { views: &weights.tensors, path: &weights.path }.layout(known)
    }

    /// Tokens before the patches.
    pub fn leading(&self) -> usize {
        usize::from(!self.config.no_class_token) + self.config.registers
    }

    /// Whether the last norm is of what was pooled.
    pub fn norms_after(&self) -> bool {
        self.norm == FC_NORM
    }
}

/// The MLP of each block.
struct Mlp {
    width: usize,
    gated: bool,
    /// Whether the gate is in `fc1`.
    packed: bool,
}

/// The tensors of a file by timm's names.
struct Tensors<'a> {
    views: &'a BTreeMap<String, WeightView>,
    path: &'a Path,
}

impl Tensors<'_> {
    fn layout(&self, known: &Known) -> Result<Layout, Error> {
        if let Some((name, what)) = self.views.keys().find_map(|n| Some((n, oddity(n)?))) {
            return self.refuse(format!("holds {name}: {what} not read; {READ}"));
        }
        let has = |name: &str| self.views.contains_key(name);
        let [hidden, patch] = self.patches()?;
        let layers = (0..).take_while(|n| has(&format!("blocks.{n}.norm1.weight"))).count();
        let Mlp { width: mlp, gated, packed } = self.mlp()?;
        let registers = if has(REGISTERS) { self.rows(REGISTERS)? } else { 0 };
        let class = has("cls_token");
        let (prefix, image_size) = self.positions(known, patch, [usize::from(class), registers])?;
        let (norm, first_norm) = (self.norm()?, has("norm_pre.weight"));
        let [split, fused] = ["q_bias", "qkv.bias"].map(|n| has(&format!("blocks.0.attn.{n}")));
        let mut layout = Layout {
            config: VitConfig {
                image_size,
                patch,
                hidden,
                layers,
                heads: 1,
                mlp,
                eps: known.eps,
                activation: known.activation.unwrap_or(default_activation(gated)),
                layer_scale: has("blocks.0.ls1.gamma") || has("blocks.0.gamma_1"),
                qkv_bias: split || fused,
                no_key_bias: split,
                no_class_token: !class,
                registers,
                positions: match (prefix, known.theta) {
                    (None, Some(theta)) => Positions::Rotary { theta },
                    _ => Positions::Learned,
                },
                interpolation: Interpolation::Antialias,
                gated,
                qk_norm: has("blocks.0.attn.q_norm.weight"),
                ..VitConfig::PLAIN
            },
            prefix,
            norm,
            first_norm,
            packed,
            head: self.head()?,
            head_width: self.head_width()?,
        };
        self.in_range(&layout.config)?;
        layout.config.family = family(&layout);
        let feature = self.feature(known.feature, &layout)?;
        layout.config.pooling = feature.pooling(&layout.config, layout.head.unwrap_or(mlp));
        Ok(layout)
    }

    fn in_range(&self, config: &VitConfig) -> Result<(), Error> {
        let small = config.patch <= MAX_PATCH && config.image_size <= MAX_IMAGE_SIZE;
        if small && config.hidden <= MAX_HIDDEN && config.layers <= MAX_LAYERS {
            return Ok(());
        }
        self.refuse(format!(
            "describes a base out of range; packer reads up to {MAX_IMAGE_SIZE} pixels, patches of \
             {MAX_PATCH}, {MAX_HIDDEN} wide, {MAX_LAYERS} blocks"
        ))
    }

    /// Width and patch.
    fn patches(&self) -> Result<[usize; 2], Error> {
        match *self.sides(PATCHES)? {
            [hidden, 3, patch, wide] if patch == wide => Ok([hidden, patch]),
            _ => self.odd(PATCHES, "[width, 3, patch, patch] with square patches"),
        }
    }

    fn mlp(&self) -> Result<Mlp, Error> {
        let &[_, narrow] = self.sides(FC2)? else { return self.odd(FC2, "of two sides") };
        if self.views.contains_key("blocks.0.mlp.fc1_g.weight") {
            return Ok(Mlp { width: narrow, gated: true, packed: false });
        }
        match *self.sides(FC1)? {
            [rows, _] if rows == narrow => Ok(Mlp { width: narrow, gated: false, packed: false }),
            [rows, _] if rows == 2 * narrow => Ok(Mlp { width: narrow, gated: true, packed: true }),
            _ => self.odd(FC1, &format!("of {narrow} rows, or twice as many with a gate")),
        }
    }

    /// Rows of the table before the patches (none without a table), and the side of the images;
    /// `[class, registers]` are tokens.
    fn positions(
        &self,
        known: &Known,
        patch: usize,
        [class, registers]: [usize; 2],
    ) -> Result<(Option<usize>, usize), Error> {
        let has = self.views.contains_key(POSITIONS);
        let image_size = match (has, known.theta, known.image_size) {
            (true, None, size) => size,
            (true, Some(_), _) => {
                let what = format!("holds {POSITIONS}, and this architecture rotates instead");
                return self.refuse(what);
            }
            (false, None, _) => return Err(self.missing(POSITIONS)),
            (false, Some(_), Some(size)) if size.is_multiple_of(patch) && size > 0 => {
                return Ok((None, size));
            }
            (false, Some(_), size) => {
                let size = size.map_or("nowhere".into(), |size| size.to_string());
                return self.refuse(format!(
                    "is for images of a size that config.json gives as {size}, which patches of \
                     {patch} do not fill"
                ));
            }
        };
        let rows = self.rows(POSITIONS)?;
        let mut prefixes = vec![class + registers, class, 0];
        prefixes.dedup();
        let square = |prefix: &usize| {
            let patches = rows.saturating_sub(*prefix);
            patches > 0 && patches.isqrt().pow(2) == patches
        };
        let side = |prefix: usize| (rows - prefix).isqrt().saturating_mul(patch);
        prefixes.retain(square);
        if prefixes.len() > 1 && prefixes.iter().any(|p| Some(side(*p)) == image_size) {
            prefixes.retain(|prefix| Some(side(*prefix)) == image_size);
        }
        if prefixes.len() > 1 {
            prefixes.retain(|prefix| (*prefix == 0) == known.patches_alone);
        }
        match prefixes.first() {
            Some(prefix) => Ok((Some(*prefix), side(*prefix))),
            None => self.refuse(format!(
                "{POSITIONS} has {rows} rows, which are no square of patches beside {class} class \
                 tokens and {registers} registers; packer reads square grids"
            )),
        }
    }

    /// What the last norm is called.
    fn norm(&self) -> Result<&'static str, Error> {
        let [tokens, pooled] =
            [NORM, FC_NORM].map(|name| self.views.contains_key(&format!("{name}.weight")));
        match (tokens, pooled) {
            (true, false) => Ok(NORM),
            (false, true) => Ok(FC_NORM),
            (true, true) => self.refuse(format!(
                "holds {FC_NORM}.weight beside {NORM}.weight: two last norms are not read"
            )),
            (false, false) => Err(self.missing("norm.weight")),
        }
    }

    /// The inner width of the head that pools by attention.
    fn head(&self) -> Result<Option<usize>, Error> {
        let name = "attn_pool.mlp.fc1.weight";
        if !self.views.contains_key(LATENT) && !self.views.contains_key(name) {
            return Ok(None);
        }
        match *self.sides(name)? {
            [rows, _] => Ok(Some(rows)),
            _ => self.odd(name, "of two sides"),
        }
    }

    fn head_width(&self) -> Result<Option<usize>, Error> {
        let name = "blocks.0.attn.q_norm.weight";
        match self.views.get(name).map(|view| view.shape.as_slice()) {
            None => Ok(None),
            Some(&[width]) => Ok(Some(width)),
            Some(_) => self.odd(name, "[head width]"),
        }
    }

    /// What becomes the feature where timm has `wanted`.
    fn feature(&self, wanted: Option<Feature>, layout: &Layout) -> Result<Feature, Error> {
        let class = !layout.config.no_class_token;
        let mean = if layout.norms_after() { Feature::NormOfMean } else { Feature::Mean };
        match wanted {
            Some(Feature::Class | Feature::ClassMean) if !class => Err(self.missing("cls_token")),
            Some(Feature::Attention) if layout.head.is_none() => Err(self.missing(LATENT)),
            Some(Feature::Attention) if layout.leading() > 0 => self.refuse(format!(
                "holds {LATENT} beside class token or registers, which timm leaves out of the \
                 pooling and packer does not: attention pooling is not read there"
            )),
            Some(Feature::Mean) => Ok(mean),
            Some(feature) => Ok(feature),
            None if layout.norms_after() => Ok(Feature::NormOfMean),
            None if class => Ok(Feature::Class),
            None if layout.head.is_some() && layout.leading() == 0 => Ok(Feature::Attention),
            None => Ok(mean),
        }
    }

    fn sides(&self, name: &str) -> Result<&[usize], Error> {
        self.views.get(name).map_or_else(|| Err(self.missing(name)), |v| Ok(v.shape.as_slice()))
    }

    /// Rows of a tensor `[1, rows, width]`.
    fn rows(&self, name: &str) -> Result<usize, Error> {
        match *self.sides(name)? {
            [1, rows, _] => Ok(rows),
            _ => self.odd(name, "[1, tokens, width]"),
        }
    }

    fn odd<T>(&self, name: &str, expected: &str) -> Result<T, Error> {
        self.refuse(format!("{name} has shape {:?}, not {expected}", self.sides(name)?))
    }

    fn refuse<T>(&self, what: String) -> Result<T, Error> {
        refuse(self.path, what)
    }

    fn missing(&self, tensor: &str) -> Error {
        Error::TensorMissing { path: self.path.to_owned(), tensor: tensor.to_owned() }
    }
}

fn default_activation(gated: bool) -> Activation {
    if gated { Activation::Silu } else { Activation::Gelu }
}

/// The family whose networks are most like this one.
fn family(layout: &Layout) -> Family {
    let config = &layout.config;
    if layout.prefix.is_none() {
        Family::Dinov3
    } else if layout.first_norm {
        Family::Clip
    } else if layout.head.is_some() {
        Family::Siglip
    } else if config.layer_scale && config.registers > 0 {
        Family::Dinov2WithRegisters
    } else if config.layer_scale {
        Family::Dinov2
    } else if config.no_class_token && config.registers == 0 {
        Family::Siglip
    } else {
        Family::Vit
    }
}

/// What a tensor of a network that is not read belongs to.
fn oddity(name: &str) -> Option<&'static str> {
    let part = |end: &str| name.split('.').any(|part| part.contains(end));
    ODDITIES.iter().find(|(end, _)| part(end)).map(|(_, what)| *what)
}

const ODDITIES: [(&str, &str); 8] = [
    ("dist_token", "a distillation token is"),
    ("head_dist", "a distillation token is"),
    ("relative_position", "a table of relative positions is"),
    ("rel_pos", "a table of relative positions is"),
    ("rope", "a table of rotary positions is"),
    ("w12", "SwiGLU under this name is"),
    ("ffn_ln", "a norm inside of the MLP is"),
    ("backbone", "a convolutional stem is"),
];

pub const PATCHES: &str = "patch_embed.proj.weight";
pub const POSITIONS: &str = "pos_embed";
pub const REGISTERS: &str = "reg_token";
const LATENT: &str = "attn_pool.latent";
const NORM: &str = "norm";
const FC_NORM: &str = "fc_norm";
const FC1: &str = "blocks.0.mlp.fc1.weight";
const FC2: &str = "blocks.0.mlp.fc2.weight";
