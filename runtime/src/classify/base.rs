//! A base ready to run, and the LoRA factors it runs with.
//!
//! It runs on the transformer's own kernels. Refused: features that are not finite. A panic in the
//! kernels comes back as an error.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rayon::ThreadPool;

use super::graph::Signature;
use super::process::Process;
use crate::Error;
use crate::kernel::Level;
use crate::tensors::View;
use crate::vit::{Output, Precision, Shape, SiteFactors, Spread, Vit};

pub(super) use crate::vit::Adapter;

/// A base ready to run.
pub(super) struct Base {
    vit: Vit,
    process: Process,
    pub signature: Signature,
}

/// The factors of one site, scaling and weights folded into `b`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Factors {
    pub rank: usize,
    /// `[inputs, rank]`
    pub a: Vec<f32>,
    /// `[rank, outputs]`
    pub b: Vec<f32>,
    /// `[outputs]`, of DoRA: what the site's outputs are multiplied with before the bias.
    pub magnitude_scale: Option<Vec<f32>>,
}

impl Base {
    /// Prepares a network of this shape to run on `threads`, or on each caller's own thread.
    pub fn new(
        shape: Shape,
        weights: &BTreeMap<String, View>,
        precision: Precision,
        threads: Option<(Arc<ThreadPool>, Spread)>,
    ) -> Result<Self, Error> {
        let signature = Signature::of(&shape);
        let vit = guarded(|| Vit::new(Level::best(), shape, weights, precision, threads))?;
        Ok(Base { vit, process: Process::this(), signature })
    }

    /// What it is.
    pub fn shape(&self) -> &Shape {
        self.vit.shape()
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
    ) -> Result<Vec<Output>, Error> {
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
pub(super) fn finite(outputs: Vec<Output>) -> Result<Vec<Output>, Error> {
    let all = |values: &[f32]| values.iter().all(|value| value.is_finite());
    if !outputs.iter().all(|output| all(&output.feature)) {
        return Err(device("the base gave a feature that is not finite".into()));
    }
    if !outputs.iter().all(|output| output.map.as_deref().is_none_or(all)) {
        return Err(device("the base's attention is not finite".into()));
    }
    Ok(outputs)
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
