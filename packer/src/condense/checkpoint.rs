//! What a stopped condensation goes on from.
//!
//! Of a private set it holds the release, so that going on reads no patient a second time.

use std::path::Path;

use medforge_runtime::tensors::Tensor;
use serde::{Deserialize, Serialize};

use super::privacy::Release;
use super::settings::CondenseSettings;
use crate::output::NewFile;
use crate::train::Resumable;
use crate::train::envelope::{self, refused};
use crate::{Error, input};

/// A condensation after some iteration.
pub struct Checkpoint {
    pub settings: CondenseSettings,
    /// Iterations done.
    pub iteration: usize,
    /// What the images are painted from, [n, 3, size, size].
    pub coefficients: Vec<f32>,
    /// Their momentum, in the same form.
    pub velocity: Vec<f32>,
    /// The loss of the first iteration.
    pub first: f64,
    /// A running mean of the loss over about 20 iterations.
    smooth: f64,
    /// Of a private set, what was released of its patients.
    pub release: Option<Release>,
}

#[derive(Serialize, Deserialize)]
struct CondenseHeader {
    settings: CondenseSettings,
    iteration: usize,
    first: f64,
    smooth: f64,
    release: Option<Release>,
    /// Base, module and data: what else must be the same.
    fingerprint: String,
}

impl envelope::Header for CondenseHeader {
    const KEY: &'static str = "medforge_condense_checkpoint";
    const FINGERPRINT: &'static str = "base, module or data";
    const LARGEST: u64 = input::MAX_WEIGHTS;

    type Settings = CondenseSettings;

    fn settings(&self) -> &CondenseSettings {
        &self.settings
    }

    fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

/// How much of the smoothed loss one iteration replaces.
const SHARE: f64 = 0.05;

impl Resumable for Checkpoint {
    fn step(&self) -> usize {
        self.iteration
    }

    fn save(&self, file: &NewFile, fingerprint: &str) -> Result<(), Error> {
        let header = CondenseHeader {
            settings: self.settings.clone(),
            iteration: self.iteration,
            first: self.first,
            smooth: self.smooth,
            release: self.release.clone(),
            fingerprint: fingerprint.to_owned(),
        };
        let vector = |values: &[f32]| Tensor::f32(vec![values.len()], values.to_vec());
        let (coefficients, velocity) = (vector(&self.coefficients), vector(&self.velocity));
        let named = [("coefficients", &coefficients), ("velocity", &velocity)];
        envelope::save(file, &header, named.into_iter().map(|(n, t)| (n.to_owned(), t)))
    }
}

impl Checkpoint {
    /// Before the first iteration.
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

    /// One step of gradient descent with momentum on the images `chosen`. Each gradient is first
    /// brought to unit mean square, so that a step's length does not depend on the loss.
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

    /// A running mean of the loss over about 20 iterations.
    pub fn recent(&self) -> f64 {
        self.smooth
    }

    /// Reads a checkpoint that was made with the same settings, base, module and data.
    ///
    /// # Errors
    /// [`Error::Checkpoint`]: another one, or a damaged one.
    pub fn open(
        path: &Path,
        settings: &CondenseSettings,
        fingerprint: &str,
    ) -> Result<Self, Error> {
        let (header, mut found) = envelope::open::<CondenseHeader>(path, settings, fingerprint)?;
        let refuse = |what: &str| refused(path, what);
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
