//! Internal names to those of Hugging Face's files and PEFT's paths, and back: the names of
//! transformers 4 and 5.

use medforge_runtime::vit::{Layer, PROJECTION};

use super::family::Form;
use super::vit_config::Family;

/// The path of a site's linear layer inside transformers 5's module tree, as PEFT writes it.
pub fn adapter_path(family: Family, site: &str) -> Option<String> {
    let form = family.form();
    let Some((n, part)) = block_part(site) else {
        return form.names(site).last().map(|name| (*name).to_owned());
    };
    Some(format!("{}.{n}.{}", form.blocks.last()?, form.names(part).last()?))
}

/// The sites that a PEFT path means: of transformers 4 or 5, with or without a model's name in
/// front, or of timm, where one layer is q, k and v, each a third of its rows.
pub fn sites_of_adapter_path(family: Family, path: &str) -> Vec<String> {
    let form = family.form();
    let timm = |path: &str| {
        let (n, part) = block_part(path).filter(|_| form.timm)?;
        let layers: &[Layer] = match part {
            "attn.qkv" => &[Layer::Q, Layer::K, Layer::V],
            "attn.proj" => &[Layer::O],
            "mlp.fc1" => &[Layer::Fc1],
            "mlp.fc2" => &[Layer::Fc2],
            _ => return None,
        };
        Some(layers.iter().map(|layer| format!("blocks.{n}.{}", layer.name())).collect())
    };
    timm(path).unwrap_or_else(|| site_of_adapter_path(form, path).into_iter().collect())
}

fn site_of_adapter_path(form: &Form, path: &str) -> Option<String> {
    let path = path.strip_prefix(form.prefix).unwrap_or(path);
    if form.names(PROJECTION).contains(&path) {
        return Some(PROJECTION.to_owned());
    }
    // Either form of a block's place goes with either form of its parts' names.
    let places = if form.timm { &["encoder.layer", "layers"] } else { form.blocks };
    let rest = places.iter().find_map(|at| path.strip_prefix(at)?.strip_prefix('.'))?;
    let (n, rest) = rest.split_once('.')?;
    let n: usize = n.parse().ok()?;
    let mut layers = Layer::ALL.into_iter();
    let layer = layers.find(|layer| form.names(layer.name()).contains(&rest))?;
    Some(format!("blocks.{n}.{}", layer.name()))
}

/// The names a parameter may have in a file, the one that transformers writes first.
pub fn file_names(family: Family, name: &str) -> Vec<String> {
    let form = family.form();
    let (whole, suffix) = match name.strip_suffix(".weight").map(|p| (p, ".weight")) {
        Some(split) => split,
        None => name.strip_suffix(".bias").map_or((name, ""), |p| (p, ".bias")),
    };
    let Some((n, part)) = block_part(whole) else {
        return form.names(whole).iter().map(|name| format!("{name}{suffix}")).collect();
    };
    let names = form.names(part);
    let place = |place: &&str| {
        let place = (*place).to_owned();
        names.iter().map(move |name| format!("{place}.{n}.{name}{suffix}"))
    };
    form.blocks.iter().flat_map(place).collect()
}

/// `blocks.3.attn.q` as (3, `attn.q`).
fn block_part(name: &str) -> Option<(usize, &str)> {
    let (n, part) = name.strip_prefix("blocks.")?.split_once('.')?;
    Some((n.parse().ok()?, part))
}
