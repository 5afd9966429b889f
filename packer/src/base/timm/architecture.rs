//! What timm's code makes of an architecture's name (timm 1.0.31: `vision_transformer.py`,
//! `eva.py`, `deit.py`).

use super::super::choices::Feature;
use crate::device::Activation;

/// What a network of timm is where `model_args` says nothing else.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Architecture {
    /// Width, blocks and heads.
    pub size: [usize; 3],
    /// Epsilon of the norms.
    pub eps: f64,
    /// Of the MLP, where it is not the usual one.
    pub activation: Option<Activation>,
    /// What becomes the feature. The mean is of patches before the norm where it is `fc_norm`.
    pub feature: Feature,
    /// Of DINOv3's rotary positions.
    pub theta: Option<f64>,
    /// Whether the position table has rows for patches alone (`no_embed_class`).
    pub patches_alone: bool,
}

/// How the names look that are read.
pub const READ: &str = "vit_SIZE_patchP with _N, _gap, _regR, _clip, _siglip, _dinov2 or _dinov3, \
                        deit_, deit3_, flexivit_ and eva_large";

/// What stands behind the patch in a name.
#[derive(Default)]
struct Words<'a> {
    size: &'a str,
    registers: bool,
    gap: bool,
    map: bool,
    plus: bool,
    clip: bool,
    quickgelu: bool,
    siglip: bool,
    dinov2: bool,
    dinov3: bool,
    lingbot: bool,
    deep: bool,
}

/// The architecture of this name; none for those that packer does not read.
pub fn named(name: &str) -> Option<Architecture> {
    let plain = |model| size_of(model, &Words::default());
    if let Some(model) = name.strip_prefix("flexivit_") {
        let size = plain(model).filter(|_| ["small", "base", "large"].contains(&model))?;
        return Some(Architecture { patches_alone: true, ..vit(size) });
    }
    if let Some(rest) = name.strip_prefix("eva_large_patch14_") {
        let known = ["196", "336"].contains(&rest);
        return known.then(|| Architecture { feature: Feature::Mean, ..vit([1024, 24, 16]) });
    }
    let (maker, rest) = name.split_once('_')?;
    let (model, rest) = rest.split_once("_patch")?;
    let (patch, rest) = rest.split_once('_')?;
    let words = words(rest).filter(|_| number(patch))?;
    match maker {
        "vit" => of_vit(model, patch, &words),
        "deit" | "deit3" if number(rest) => {
            let size = plain(model).filter(|_| !["wee", "little"].contains(&model))?;
            Some(Architecture { patches_alone: maker == "deit3", ..vit(size) })
        }
        _ => None,
    }
}

fn vit(size: [usize; 3]) -> Architecture {
    Architecture {
        size,
        eps: 1e-6,
        activation: None,
        feature: Feature::Class,
        theta: None,
        patches_alone: false,
    }
}

fn of_vit(model: &str, patch: &str, words: &Words) -> Option<Architecture> {
    let rotary = words.dinov3 || words.lingbot;
    let feature = match words {
        Words { gap: true, .. } => Feature::Mean,
        Words { map: true, .. } | Words { siglip: true, .. } => Feature::Attention,
        Words { dinov3: true, .. } => Feature::Mean,
        _ => Feature::Class,
    };
    let tanh = match model {
        "base" => patch == "32",
        "large" => words.size == "512",
        "so400m" => patch == "16",
        _ => true,
    };
    let activation = match words {
        Words { quickgelu: true, .. } => Some(Activation::QuickGelu),
        Words { siglip: true, .. } if tanh => Some(Activation::GeluTanh),
        _ => None,
    };
    Some(Architecture {
        eps: if rotary || words.clip { 1e-5 } else { 1e-6 },
        activation,
        feature,
        theta: rotary.then_some(100.0),
        patches_alone: words.registers && !model.starts_with("so150m"),
        ..vit(size_of(model, words)?)
    })
}

fn words(rest: &str) -> Option<Words<'_>> {
    let mut words = Words::default();
    for word in rest.split('_') {
        match word {
            size if number(size) => words.size = size,
            "gap" => words.gap = true,
            "map" => words.map = true,
            "plus" => words.plus = true,
            "clip" => words.clip = true,
            "quickgelu" if words.clip => words.quickgelu = true,
            "siglip" => words.siglip = true,
            "dinov2" | "tipsv2" => words.dinov2 = true,
            "dinov3" => words.dinov3 = true,
            "qkvb" if words.dinov3 => {}
            "lingbot" => words.lingbot = true,
            "miil" => {}
            "36x1" => words.deep = true,
            word if word.strip_prefix("reg").is_some_and(number) => words.registers = true,
            _ => return None,
        }
    }
    Some(words)
}

/// Width, blocks and heads.
fn size_of(model: &str, words: &Words) -> Option<[usize; 3]> {
    Some(match model {
        "base" if words.plus => [896, 12, 14],
        _ if words.plus => return None,
        "small" if words.deep => [384, 36, 6],
        _ if words.deep => return None,
        "tiny" => [192, 12, 3],
        "xsmall" => [256, 10, 4],
        "wee" => [256, 14, 4],
        "little" => [320, 14, 5],
        "small" => [384, 12, 6],
        "small_plus" if words.dinov3 => [384, 12, 6],
        "medium" => [512, 12, 8],
        "mediumd" => [512, 20, 8],
        "betwixt" => [640, 12, 10],
        // This one has heads of its own.
        "base" if words.gap && !words.siglip && !words.registers => [768, 12, 16],
        "base" => [768, 12, 12],
        "so150m" => [896, 18, 14],
        "so150m2" => [832, 21, 13],
        "large" => [1024, 24, 16],
        "so400m" => [1152, 27, 16],
        "huge" => [1280, 32, 16],
        "huge_plus" if words.dinov3 => [1280, 32, 20],
        "giant" if words.dinov2 || words.lingbot => [1536, 40, 24],
        "giant" => [1408, 40, 16],
        "giantopt" => [1536, 40, 16],
        "gigantic" => [1664, 48, 16],
        "7b" if words.dinov3 => [4096, 40, 32],
        _ => return None,
    })
}

fn number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}
