//! The parameters of a base: names as the graph has them, shapes as Hugging Face's files have them.

use std::collections::BTreeMap;

use medforge_runtime::vit::Shape;

use super::vit_config::VitConfig;

/// Every parameter by internal name, with its shape; positions for the base's own image size.
/// Angles of rotary positions are none: they follow from the configuration.
pub fn parameter_shapes(config: &VitConfig) -> BTreeMap<String, Vec<usize>> {
    let shape = config.shape(config.image_size);
    let weights = shape.weights().into_iter().filter(|(name, _)| !name.starts_with("rotary."));
    let stored = weights.map(|(name, dims)| {
        let stored = parameter_shape(&shape, &name, &dims);
        (name, stored)
    });
    stored.collect()
}

/// The shape of the parameter that the graph has with these dimensions. Linear layers are `[out,
/// in]`, patches `[out, 3, patch, patch]`, and nothing has sides of one in front.
pub fn parameter_shape(shape: &Shape, name: &str, dims: &[usize]) -> Vec<usize> {
    match *dims {
        [_, hidden] if name == "embed.patch.weight" => vec![hidden, 3, shape.patch, shape.patch],
        [inputs, outputs] => vec![outputs, inputs],
        [1, 1, hidden] => vec![hidden],
        [1, rows, hidden] => vec![rows, hidden],
        _ => dims.to_vec(),
    }
}
