//! A base's weights on a device.

use std::collections::BTreeMap;
use std::sync::Arc;

use medforge_runtime::vit::Shape;

use super::positions;
use super::vit::Vit;
use super::vit_config::VitConfig;
use crate::device::Device;
use crate::tape::{Tensor, Var};

/// A base's weights on a device, frozen, for images of one size.
#[derive(Clone)]
pub struct Weights<D: Device> {
    pub config: VitConfig,
    pub image_size: usize,
    /// Whether a pass keeps only what goes into each block, and the backward pass
    /// [recomputes](crate::tape::Tape::recomputed) the rest. Blocks are not observed then.
    pub recompute: bool,
    vars: Arc<BTreeMap<String, Var<D>>>,
}

impl<D: Device + 'static> Weights<D> {
    /// Uploads the weights; positions are interpolated to `image_size` once. Matrices stay as they
    /// are stored where the device [shares](Device::shares) memory with the host.
    pub fn frozen(device: &D, vit: &Vit, image_size: usize) -> Self {
        let config = &vit.config;
        let shape = config.shape(image_size);
        let vars = vit.tensors.iter().map(|(name, tensor)| {
            let value = if name == "embed.positions" {
                let table = positions::interpolate(config, &tensor.values.read(), image_size);
                Tensor::frozen(device, &table, positions::rows(&shape), shape.hidden)
            } else if tensor.shape.len() > 1 && name.ends_with(".weight") {
                let rows = tensor.shape[0];
                Tensor::stored(device, &tensor.values, rows, tensor.values.len() / rows)
            } else {
                matrix(device, &tensor.shape, &tensor.values.read(), Tensor::frozen)
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

    /// The network that they are of.
    pub fn shape(&self) -> Shape {
        self.config.shape(self.image_size)
    }

    /// A parameter that every base has.
    pub(super) fn get(&self, name: &str) -> &Var<D> {
        self.vars.get(name).unwrap_or_else(|| panic!("the base has no parameter {name}"))
    }

    /// A parameter that some bases have.
    pub(super) fn optional(&self, name: &str) -> Option<&Var<D>> {
        self.vars.get(name)
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
