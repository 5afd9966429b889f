//! The file that a stopped condensation goes on from: one safetensors file, replaced as a whole.
//!
//! Of a private set it holds the release, so that going on reads no patient a second time. Refused:
//! a checkpoint of other settings, another base or other data, a damaged one.

use std::collections::BTreeMap;
use std::path::Path;

use medforge_runtime::tensors::{self, Tensor};
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use super::CondenseSettings;
use super::privacy::Release;
use crate::output::NewFile;
use crate::{Error, input};

/// A condensation after some iteration.
pub struct Checkpoint {
    pub settings: CondenseSettings,
    /// Iterations done.
    pub iteration: usize,
    /// [n, 3, size, size].
    pub coefficients: Vec<f32>,
    pub velocity: Vec<f32>,
    /// The loss of the first iteration.
    pub first: f64,
    /// The loss of late, over about 20 iterations.
    smooth: f64,
    pub release: Option<Release>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    settings: CondenseSettings,
    iteration: usize,
    first: f64,
    smooth: f64,
    release: Option<Release>,
    /// Base, module and data: what else must be the same.
    fingerprint: String,
}

const HEADER: &str = "medforge_condense_checkpoint";
/// How much of the smoothed loss one iteration replaces.
const SHARE: f64 = 0.05;

impl Checkpoint {
    pub(super) fn begin(
        release: Option<Release>,
        settings: &CondenseSettings,
        coefficients: Vec<f32>,
    ) -> Self {
        let velocity = vec![0.0; coefficients.len()];
        let settings = settings.clone();
        Checkpoint {
            settings,
            iteration: 0,
            coefficients,
            velocity,
            first: 0.0,
            smooth: 0.0,
            release,
        }
    }

    /// One step of gradient descent with momentum on the images `chosen`, each along its gradient
    /// brought to unit mean square: how far an image moves does not depend on how large its loss
    /// is.
    pub(super) fn descend(&mut self, chosen: &[usize], gradient: &[f32], rate: f64, momentum: f64) {
        let each = gradient.len() / chosen.len();
        for (&image, gradient) in chosen.iter().zip(gradient.chunks_exact(each)) {
            let square: f64 =
                gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>() / each as f64;
            let scale = (1.0 - momentum) / (square.sqrt() + 1e-30);
            let place = image * each..(image + 1) * each;
            let (z, v) = (&mut self.coefficients[place.clone()], &mut self.velocity[place]);
            for ((z, v), g) in z.iter_mut().zip(v).zip(gradient) {
                *v = (momentum * f64::from(*v) + scale * f64::from(*g)) as f32;
                *z -= (rate * f64::from(*v)) as f32;
            }
        }
    }

    /// Counts an iteration and its loss.
    pub(super) fn note(&mut self, loss: f64) {
        if self.iteration == 0 {
            (self.first, self.smooth) = (loss, loss);
        }
        self.iteration += 1;
        self.smooth += SHARE.max(1.0 / self.iteration as f64) * (loss - self.smooth);
    }

    /// The loss of late.
    pub fn recent(&self) -> f64 {
        self.smooth
    }

    /// Writes the file in one go. `fingerprint` names the base, the module and the data.
    pub fn save(&self, file: &NewFile, fingerprint: &str) -> Result<(), Error> {
        let header = Header {
            settings: self.settings.clone(),
            iteration: self.iteration,
            first: self.first,
            smooth: self.smooth,
            release: self.release.clone(),
            fingerprint: fingerprint.to_owned(),
        };
        let vector = |values: &[f32]| Tensor::f32(vec![values.len()], values.to_vec());
        let (coefficients, velocity) = (vector(&self.coefficients), vector(&self.velocity));
        let header = serde_json::to_string(&header).expect("a header is plain data");
        let metadata = BTreeMap::from([(HEADER.to_owned(), header)]);
        let named = [("coefficients", &coefficients), ("velocity", &velocity)];
        file.write(&tensors::write(named, &metadata)?)
    }

    /// Reads a checkpoint that was made with the same settings, base, module and data.
    pub fn open(
        path: &Path,
        settings: &CondenseSettings,
        fingerprint: &str,
    ) -> Result<Self, Error> {
        let bytes = input::read(path, input::MAX_WEIGHTS)?;
        let refuse = |what: &str| Error::Checkpoint { what: format!("{}: {what}", path.display()) };
        let mut found = tensors::read(&bytes, &path.display().to_string())?;
        let metadata =
            SafeTensors::read_metadata(&bytes).ok().and_then(|(_, m)| m.metadata().clone());
        let header = metadata
            .as_ref()
            .and_then(|m| m.get(HEADER))
            .ok_or_else(|| refuse("is not a checkpoint"))?;
        let header: Header = serde_json::from_str(header)
            .map_err(|_| refuse("was made by another version of packer"))?;
        if header.settings != *settings {
            return Err(refuse("was made with other settings; repeat them, or begin again"));
        }
        if header.fingerprint != fingerprint {
            return Err(refuse("was made with another base, module or data; begin again"));
        }
        let mut take =
            |name: &str| found.remove(name).map(|t| t.data).ok_or_else(|| refuse("lacks a tensor"));
        let (coefficients, velocity) = (take("coefficients")?, take("velocity")?);
        if coefficients.len() != velocity.len() || header.iteration > settings.iterations {
            return Err(refuse("is damaged"));
        }
        Ok(Checkpoint {
            settings: header.settings,
            iteration: header.iteration,
            coefficients,
            velocity,
            first: header.first,
            smooth: header.smooth,
            release: header.release,
        })
    }
}
