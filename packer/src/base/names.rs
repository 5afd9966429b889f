//! Internal names to those of files and PEFT's paths, and back: the names of transformers 4 and 5,
//! and PEFT's of timm.

use medforge_runtime::vit::Site;

use super::family::{Names, OWN, TIMM};
use super::vit_config::{Family, VitConfig};

/// Where a file has a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The tensor's name.
    pub name: String,
    /// Which of the tensor's parts it is, counted from 0, where several parameters are one under
    /// another.
    pub part: usize,
    /// How many parts the tensor has.
    pub of: usize,
}

/// The path of a site's linear layer inside transformers 5's module tree, as PEFT writes it. None
/// for what is no site. `gated`: whether the base's MLP has a gate.
pub fn adapter_path(family: Family, gated: bool, site: &str) -> Option<String> {
    let names = &family.form().names;
    let Some((n, part)) = block_part(site) else {
        return called(names, site, gated).last().map(|name| (*name).to_owned());
    };
    Some(format!("{}.{n}.{}", names.blocks.last()?, called(names, part, gated).last()?))
}

/// The sites that a PEFT path means: of transformers 4 or 5, with or without a model's name in
/// front, or of timm. One layer may be several sites: q, k and v, or gate and first layer of the
/// MLP. Each is an equal part of its rows, in this order.
pub fn sites_of_adapter_path(config: &VitConfig, path: &str) -> Vec<String> {
    let shape = config.shape(config.image_size);
    let names = &config.family.form().names;
    let sites: Vec<Site> = shape.sites().collect();
    let found = sites.iter().find_map(|site| {
        let site = site.to_string();
        let own = |names: &Names| {
            let mut places = places(names, config.gated, &site).into_iter();
            places.find(|place| place.part == 0 && is_path(names, path, &place.name))
        };
        own(names).or_else(|| own(&TIMM)).map(|place| (site, place.of))
    });
    let Some((first, count)) = found else { return Vec::new() };
    // The parts of a layer follow one another among the sites.
    let from = sites.iter().skip_while(|site| site.to_string() != first);
    from.take(count).map(Site::to_string).collect()
}

/// Whether PEFT's path is this name, with or without a model's name in front.
fn is_path(names: &Names, path: &str, name: &str) -> bool {
    path == name || names.prefixes.iter().any(|prefix| path.strip_prefix(prefix) == Some(name))
}

/// Where a file of this family may have a parameter, as transformers writes it first.
pub fn file_places(config: &VitConfig, parameter: &str) -> Vec<Place> {
    let names = &config.family.form().names;
    let own = places(names, config.gated, parameter);
    let prefixed = names.prefixes.iter().flat_map(|prefix| {
        own.iter()
            .map(move |place| Place { name: format!("{prefix}{}", place.name), ..place.clone() })
    });
    own.iter().cloned().chain(prefixed).collect()
}

/// Where a file with these names may have a parameter or layer.
pub fn places(names: &Names, gated: bool, parameter: &str) -> Vec<Place> {
    let (whole, suffix) = ["weight", "bias"]
        .into_iter()
        .find_map(|end| Some((parameter.strip_suffix(end)?.strip_suffix('.')?, end)))
        .unwrap_or((parameter, ""));
    let whole_name = |name: String| match (suffix, name.ends_with('_')) {
        ("", _) => name,
        (suffix, true) => format!("{name}{suffix}"),
        (suffix, false) => format!("{name}.{suffix}"),
    };
    let place = |part: &str, name: &str, full: String| {
        let (part, of) = packed(names, name, part, gated).unwrap_or((0, 1));
        Place { name: whole_name(full), part, of }
    };
    match block_part(whole) {
        None => {
            let own = called(names, whole, gated).iter();
            own.map(|name| place(whole, name, (*name).to_owned())).collect()
        }
        Some((n, part)) => {
            let within = |at: &&str| {
                let at = (*at).to_owned();
                let own = called(names, part, gated).iter();
                own.map(move |name| place(part, name, format!("{at}.{n}.{name}")))
            };
            names.blocks.iter().flat_map(within).collect()
        }
    }
}

/// The names of a part, packer's own where the family has none.
fn called(names: &Names, part: &str, gated: bool) -> &'static [&'static str] {
    match names.of(part, gated) {
        [] if !std::ptr::eq(names, &TIMM) => OWN.of(part, gated),
        own => own,
    }
}

/// Which part of the layer `name` one of ours is, and of how many; none of a layer that holds it
/// alone.
fn packed(names: &Names, name: &str, part: &str, gated: bool) -> Option<(usize, usize)> {
    let parts = [names, &OWN].into_iter().find_map(|names| names.holds(name, part, gated))?;
    Some((parts.iter().position(|own| *own == part)?, parts.len()))
}

/// `blocks.3.attn.q` as (3, `attn.q`).
fn block_part(name: &str) -> Option<(usize, &str)> {
    let (n, part) = name.strip_prefix("blocks.")?.split_once('.')?;
    Some((n.parse().ok()?, part))
}
