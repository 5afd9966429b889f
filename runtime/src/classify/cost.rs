//! What a bundle costs, known from its manifest, its graph and the shapes of its tensors before
//! anything is made of them.
//!
//! Refused: a graph of other sizes than the manifest says, and more memory or work than
//! [`Options::most`](super::Options::most) allows: for all that is in memory together, for one
//! image under the default of its task, and for the golden vectors.

use std::collections::BTreeMap;

use super::Precision;
use super::graph::Signature;
use crate::bundle::VerifiedBundle;
use crate::bundle::description::require;
use crate::bundle::manifest::{Composition, Manifest, Mode};
use crate::error::Refusal;
use crate::vit::{Layout, Taken};
use crate::{Class, Error};

/// Memory and work that bundles may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Bytes: weights, modules and what one call computes with, of all bundles of a classifier
    /// together.
    pub bytes: u64,
    /// Multiply-adds for one image. The golden vectors of a bundle may take [`GOLDEN_IMAGES`] times
    /// as many.
    pub operations: u64,
}

/// How many images' work the golden vectors of a bundle may take.
pub const GOLDEN_IMAGES: u64 = 16;

/// Four times what the largest base that is known and read takes: the vision tower of CLIP
/// ViT-bigG/14, 1.84 thousand million parameters in 48 blocks, for images of 224 pixels.
impl Default for Cost {
    fn default() -> Self {
        Cost { bytes: 32_000_000_000, operations: 2_000_000_000_000 }
    }
}

/// What a bundle takes.
#[derive(Debug, PartialEq)]
pub(super) struct Counted {
    /// Bytes of the base and of a call.
    base: u128,
    /// Bytes of all that comes with the bundle and is no base.
    pub modules: u128,
    /// Multiply-adds of the costliest task's default.
    image: u128,
    /// Multiply-adds of the golden vectors, each network once.
    golden: u128,
}

impl Counted {
    /// Counts what `bundle` takes on the base of this `layout`. No value of a tensor is read.
    ///
    /// # Errors
    /// [`Class::Contradiction`] where the manifest denies the graph, and the classes of tensor
    /// files.
    pub fn new(
        bundle: &VerifiedBundle,
        layout: &Layout,
        signature: &Signature,
        precision: Precision,
    ) -> Result<Self, Error> {
        let manifest = bundle.manifest();
        agrees(manifest, layout, signature)?;
        let (pass, mut modules) = (layout.base(precision), BTreeMap::new());
        for module in &manifest.modules {
            let views = bundle.views(&module.entry)?;
            let rank = |site: &str| {
                let shape = views.get(&format!("{site}.lora_a")).map(|view| &view.shape);
                shape.and_then(|shape| shape.last()).copied().unwrap_or(0)
            };
            modules.insert(module.id.as_str(), layout.adapter(rank));
        }
        let frozen = u128::from(manifest.routing.is_some());
        let mut counted = Counted {
            base: pass.bytes + layout.activations(),
            modules: modules.values().map(|module| module.bytes).sum(),
            image: 0,
            golden: modules.values().map(|module| pass.operations + module.operations).sum::<u128>()
                + frozen * pass.operations,
        };
        let feature = signature.feature as u128;
        let classes: BTreeMap<_, _> =
            manifest.heads.iter().map(|head| (&head.task, head.classes.len() as u128)).collect();
        for Composition { task, mode, parts } in &manifest.compositions {
            let classes = classes.get(task).copied().unwrap_or(0);
            let together = parts.iter().filter_map(|part| modules.get(part.module.as_str()));
            let together = together.fold(Taken::default(), |sum, module| sum + *module);
            let networks = match mode {
                Mode::Fusion => 1,
                Mode::Mixture => parts.len() as u128,
                Mode::Routed => 1 + parts.len() as u128,
            };
            let base = networks * pass.operations + together.operations;
            counted.image = counted.image.max(base + networks * classes * feature + feature * feature);
            if *mode == Mode::Fusion {
                counted.modules += together.bytes;
                counted.golden += pass.operations + together.operations;
            }
        }
        // The file's values, most of them in half of the bytes that they have in memory.
        let own = manifest.entries.iter().filter(|entry| !entry.name.starts_with("base."));
        counted.modules += own.map(|entry| 2 * u128::from(entry.length)).sum::<u128>();
        Ok(counted)
    }

    /// Refuses what is more than `most`, `beside` bytes of other bundles' modules.
    ///
    /// # Errors
    /// [`Class::TooCostly`].
    pub fn within(&self, most: Cost, beside: u128) -> Result<(), Error> {
        let golden = u128::from(most.operations) * u128::from(GOLDEN_IMAGES);
        let table = [
            ("it", "bytes of memory", self.base + self.modules + beside, u128::from(most.bytes)),
            ("an image", "multiply-adds", self.image, u128::from(most.operations)),
            ("its golden vectors", "multiply-adds", self.golden, golden),
        ];
        for (what, unit, found, allowed) in table {
            if found > allowed {
                let what = format!(
                    "{what} would take {:.1e} {unit}, and {:.1e} are allowed; take a smaller base or fewer modules, or allow \
                     more where it is opened",
                    found as f64, allowed as f64
                );
                return Err(Refusal::new(Class::TooCostly, what).into());
            }
        }
        Ok(())
    }
}

/// Whether the manifest says of the base what the graph says.
fn agrees(manifest: &Manifest, layout: &Layout, signature: &Signature) -> Result<(), Error> {
    let base = &manifest.base;
    let [height, width] = signature.image;
    for (what, graph, stated) in [
        ("rows of an image", height, Some(base.image_size[0])),
        ("columns of an image", width, Some(base.image_size[1])),
        ("values of a feature", signature.feature, Some(base.feature_size)),
        ("blocks", layout.blocks.len(), Some(base.layers)),
        ("heads", layout.heads, base.heads),
    ] {
        require(stated.is_none_or(|stated| stated as usize == graph), || {
            format!("base.onnx has {graph} {what}, and base says {}", stated.unwrap_or(0))
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
