//! A base ready to run, and the LoRA factors it runs with.
//!
//! It runs on the transformer's own kernels. A [`Plan`] is read first, and nothing made before what
//! it costs is known. Refused: a graph that is not node by node one that `packer` writes, and
//! features that are not finite. A panic in the kernels comes back as an error.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rayon::ThreadPool;

use super::graph::{self, Signature};
use super::process::Process;
use crate::Error;
use crate::kernel::Level;
use crate::tensors::View;
use crate::vit::{self, Layout, Precision, Seen, SiteFactors, Spread, Vit};

pub(super) use crate::vit::Adapter;

/// A base as its graph describes it, before anything of it is made.
pub(super) struct Plan {
    pub layout: Layout,
    pub signature: Signature,
}

/// A base ready to run.
pub(super) struct Base {
    vit: Vit,
    process: Process,
    pub signature: Signature,
}

/// The factors of one site, scaling and weights folded into `b`, and of DoRA what its outputs are
/// multiplied with before the bias.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Factors {
    pub rank: usize,
    /// `[inputs, rank]`
    pub a: Vec<f32>,
    /// `[rank, outputs]`
    pub b: Vec<f32>,
    /// `[outputs]`
    pub magnitude_scale: Option<Vec<f32>>,
}

impl Plan {
    /// Reads `onnx`, which must fit the shapes of `weights`.
    pub fn read(onnx: &[u8], weights: &BTreeMap<String, View>) -> Result<Self, Error> {
        let (graph, signature) = graph::read(onnx, weights)?;
        let layout = match signature.image {
            [height, width] if height == width => {
                vit::recognise(&graph, height).map_err(graph::refuse)?
            }
            _ => return Err(graph::refuse("is for images that are not square")),
        };
        if layout.feature() != signature.feature {
            return Err(graph::refuse(format!(
                "says that a feature has {} values, and its operations make {}",
                signature.feature,
                layout.feature()
            )));
        }
        for names in layout.linears() {
            if signature.sites.get(&names.site).is_none_or(|site| site.scalable != names.scaled) {
                return Err(graph::refuse(format!(
                    "has other inputs for site {} than its operations take",
                    names.site
                )));
            }
        }
        if layout.linears().count() != signature.sites.len() {
            return Err(graph::refuse("has inputs for sites that no operation takes"));
        }
        Ok(Plan { layout, signature })
    }
}

impl Base {
    /// Prepares what `plan` describes to run on `threads`, or on each caller's own thread.
    pub fn new(
        plan: Plan,
        weights: &BTreeMap<String, View>,
        precision: Precision,
        threads: Option<(Arc<ThreadPool>, Spread)>,
    ) -> Result<Self, Error> {
        let Plan { layout, signature } = plan;
        let vit = guarded(|| Vit::new(Level::best(), layout, weights, precision, threads))?;
        Ok(Base { vit, process: Process::this(), signature })
    }

    /// The transformer that it is.
    pub fn layout(&self) -> &Layout {
        self.vit.layout()
    }

    /// Lays out the factors of a composition. A site that is not named gets rank 0.
    pub fn adapter(&self, by_site: &BTreeMap<String, Factors>) -> Result<Adapter, Error> {
        let by_site = by_site.iter().map(|(site, f)| {
            let magnitude_scale = f.magnitude_scale.as_deref();
            (site.clone(), SiteFactors { rank: f.rank, a: &f.a, b: &f.b, magnitude_scale })
        });
        let by_site = by_site.collect();
        let misfit = || device("LoRA factors do not have the shape of their site".into());
        guarded(|| self.vit.adapter(&by_site).ok_or_else(misfit))
    }

    /// What the base makes of rows, each an index into the normalised `images` (`[3, H, W]`) and
    /// what it runs with; with `maps` also where each feature comes from: `[grid, grid]`. Finite or
    /// not: see [`finite`]. `cancelled` is asked between parts of the work.
    pub fn run(
        &self,
        images: &[Vec<f32>],
        rows: &[(usize, &Adapter)],
        maps: bool,
        cancelled: &(dyn Fn() -> bool + Sync),
    ) -> Result<Vec<Seen>, Error> {
        self.process.check()?;
        let [height, width] = self.signature.image;
        if images.iter().any(|image| image.len() != 3 * height * width) {
            return Err(device(format!("an image does not have 3 x {height} x {width} values")));
        }
        guarded(|| self.vit.run(images, rows, maps, cancelled))
    }

    /// Bytes of weights, and of buffers that wait for the next call.
    pub fn bytes(&self) -> (usize, usize) {
        (self.vit.bytes(), self.vit.scratch())
    }
}

/// The same, if all of it is finite.
pub(super) fn finite(seen: Vec<Seen>) -> Result<Vec<Seen>, Error> {
    let all = |values: &[f32]| values.iter().all(|value| value.is_finite());
    if !seen.iter().all(|seen| all(&seen.feature)) {
        return Err(device("the base gave a feature that is not finite".into()));
    }
    if !seen.iter().all(|seen| seen.map.as_deref().is_none_or(all)) {
        return Err(device("the base's attention is not finite".into()));
    }
    Ok(seen)
}

/// In a child of `fork()` the pool's threads are not there, and ending them would wait for them.
impl Drop for Base {
    fn drop(&mut self) {
        if self.process.check().is_err() {
            self.vit.forget_threads();
        }
    }
}

/// Runs `work`; a panic there becomes an error.
fn guarded<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| text.to_string());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(device(format!("it panicked: {}", text.unwrap_or_default())))
    })
}

fn device(what: String) -> Error {
    Error::Device { what }
}

#[cfg(test)]
mod tests;
