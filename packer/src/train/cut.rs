//! How a batch is cut, so that a step stays within a device's memory or a bound.

use serde::Serialize;

use crate::base::Vit;
use crate::device::Device;

use super::fits::by_buffers;
use super::settings::TrainSettings;

/// How the images of a batch go through the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Cut {
    /// Images at once; the gradients of the passes are added up.
    pub per_pass: usize,
    /// Whether each block keeps only its input and is computed again in the backward pass (Chen et
    /// al. 2016). The result is the same, bit for bit.
    pub recompute: bool,
}

impl Cut {
    /// This cut where the device's buffers allow it, else as much of it as they do.
    pub(super) fn on(self, device: &impl Device, vit: &Vit, settings: &TrainSettings) -> Cut {
        Cut { per_pass: self.per_pass.min(by_buffers(device, &vit.config, settings)), ..self }
    }

    /// The ways to cut a batch, the fastest first.
    ///
    /// Fewer images at once come before recomputation, which runs each block's forward pass a
    /// second time. A ViT-S/14 (112 px, 240 MiB) trained 8.4 images per CPU-second with one image
    /// at once, and 6.7 with three and recomputed blocks in about the same memory. A CLIP ViT-B/16
    /// (224 px, 800 to 843 MiB) trained 1.03 and .75. With all eight at once it was 11.3 and 1.16.
    pub(super) fn candidates(batch: usize) -> impl Iterator<Item = Cut> {
        let mut sizes: Vec<usize> = (1..=batch).map(|passes| batch.div_ceil(passes)).collect();
        sizes.dedup();
        let both = [false, true].into_iter();
        both.flat_map(move |recompute| {
            sizes.clone().into_iter().map(move |per_pass| Cut { per_pass, recompute })
        })
    }
}
