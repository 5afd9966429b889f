//! How many images of a batch fit a device at once, and what to say where its memory was full.

use crate::Error;
use crate::base::{Vit, VitConfig};
use crate::device::Device;

use super::settings::{Method, TrainSettings, targets};

/// Groups that a GPU counts in one dimension; attention has one for each image and head.
const GROUPS: usize = 65_535;

/// Bytes that one pass keeps for its backward pass, at most, on a device that shares the host's
/// memory. Products still have hundreds of rows then: a ViT-L/16 at 224 px takes four images at
/// once.
const KEPT: u64 = 768 << 20;

/// Images that a device's buffers and its memory, where it knows that, hold at once.
pub(super) fn per_pass(
    device: &impl Device,
    config: &VitConfig,
    settings: &TrainSettings,
) -> usize {
    let bytes = 4 * values(device, config, settings) as u64;
    let own = if device.shares() { KEPT } else { u64::MAX };
    let by_memory = device.memory_left().unwrap_or(own) / bytes;
    let by_memory = usize::try_from(by_memory).unwrap_or(usize::MAX);
    let most = by_buffers(device, config, settings).min(by_memory).max(1);
    // As many passes, of about the same size.
    settings.batch.div_ceil(settings.batch.div_ceil(most))
}

/// Images that a device's buffers hold at once.
pub(super) fn by_buffers(
    device: &impl Device,
    config: &VitConfig,
    settings: &TrainSettings,
) -> usize {
    let by_buffer = device.largest_buffer() / config.largest_values(settings.size);
    let by_groups = GROUPS / config.heads;
    by_buffer.min(by_groups).min(config.images_per_pass(settings.size)).clamp(1, settings.batch)
}

/// What to do about a GPU's memory that was full in a training.
pub(super) fn explain(
    error: Error,
    device: &impl Device,
    vit: &Vit,
    settings: &TrainSettings,
) -> Error {
    let Error::Compute(medforge_compute::Error::GpuMemory { held, .. }) = error else {
        return error;
    };
    // All but the weights was for the images of a batch, and the last of them did not fit.
    let weights = vit.tensors.values().map(|t| 4 * t.values.len() as u64).sum();
    let fits = held.saturating_sub(weights) / (4 * values(device, &vit.config, settings) as u64);
    match usize::try_from(fits).unwrap_or(usize::MAX).min(settings.batch - 1) {
        0 => error,
        fits => Error::GpuBatch { held, batch: settings.batch, fits },
    }
}

/// Values that a training step keeps for one image: the base's, and what magnitude and dropout add
/// at each site.
fn values(device: &impl Device, config: &VitConfig, settings: &TrainSettings) -> usize {
    let mut each = 0;
    if let Method::Lora { targets: text, last_layers, dora, dropout, .. } = &settings.method {
        let sites = targets(text)
            .and_then(|targets| targets.sites(config, *last_layers))
            .unwrap_or_default();
        for (out, inputs) in sites.iter().map(|(_, target)| target.shape(config)) {
            each += usize::from(*dora) * out + usize::from(*dropout > 0.0) * 2 * inputs;
        }
    }
    config.training_values(settings.size, device.keeps_softmax())
        + each * config.tokens(settings.size)
}
