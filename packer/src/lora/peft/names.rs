//! The names of PEFT's tensors.

use crate::base::{VitConfig, sites_of_adapter_path};

/// The number of a layer's magnitudes among its tensors, after A and B.
pub const MAGNITUDE: usize = 2;

/// The sites that a tensor belongs to, the path of its layer in the model, and its number: 0 for A,
/// 1 for B, [`MAGNITUDE`] for the magnitudes.
pub fn parse_name<'a>(config: &VitConfig, name: &'a str) -> Option<(Vec<String>, &'a str, usize)> {
    let name = name.strip_prefix("base_model.model.")?;
    let parts =
        [(".lora_A.weight", 0), (".lora_B.weight", 1), (".lora_magnitude_vector", MAGNITUDE)];
    // In memory, PEFT keeps magnitudes as a module with a weight. Its files do not have that word.
    let also = (".lora_magnitude_vector.weight", MAGNITUDE);
    let mut found = parts
        .into_iter()
        .chain([also])
        .filter_map(|(part, half)| Some((name.strip_suffix(part)?, half)));
    let (layer, half) = found.next()?;
    let sites = sites_of_adapter_path(config, layer);
    (!sites.is_empty()).then_some((sites, layer, half))
}
