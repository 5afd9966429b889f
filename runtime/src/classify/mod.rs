//! From a verified bundle to class probabilities.
//!
//! ```no_run
//! use medforge_runtime::{bundle, classify::Classifier, image};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let trust = bundle::Trust::from_pem(&std::fs::read_to_string("k.pub")?)?;
//! let classifier = Classifier::load(bundle::verify(std::fs::read("breast.medforge")?, &trust)?)?;
//! let picture = image::decode(&std::fs::read("slide.png")?, "slide.png")?;
//! println!("{:?}", classifier.classify(picture.view(), None)?);
//! # Ok(())
//! # }
//! ```
//! A classifier is immutable and may be shared between threads; it starts none. Loading it runs the bundle's golden
//! vectors. Refused: bundles whose graph, modules, heads and manifest do not fit one another, and devices that disagree
//! with the golden vectors.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Error;
use crate::bundle::VerifiedBundle;
use crate::bundle::manifest::{Composition, Mode};
use crate::image::RgbView;
use crate::preprocess::Preprocessing;
use base::Base;
use task::Task;

pub use options::{Options, Spread, Threads};

mod base;
mod graph;
mod options;
mod parts;
mod task;

/// Largest relative error of a feature, `||ours - golden|| / ||golden||`, and largest absolute error of a probability,
/// by which a device may differ from the golden vectors.
pub const GOLDEN_TOLERANCE: f64 = 1e-3;

/// A bundle ready to classify.
pub struct Classifier {
    base: Base,
    bundle: Arc<str>,
    preprocessing: Preprocessing,
    tasks: BTreeMap<String, Task>,
    routing: Option<parts::Prototypes>,
}

/// What a classifier found in one image, and with what.
#[derive(Debug, Clone, PartialEq)]
pub struct Classification {
    /// The task.
    pub task: String,
    /// Class names.
    pub classes: Arc<[String]>,
    /// As many as classes; they sum to 1.
    pub probabilities: Vec<f32>,
    /// The bundle's id.
    pub bundle: Arc<str>,
    /// The modules that took part.
    pub modules: Arc<[Participant]>,
}

/// Bytes in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// The base's weights.
    pub base: usize,
    /// Modules as they are laid out for the tasks.
    pub modules: usize,
    /// Buffers that wait for the next call.
    pub scratch: usize,
}

/// A module's part in a classification.
#[derive(Debug, Clone, PartialEq)]
pub struct Participant {
    /// The module's id.
    pub id: String,
    /// Its weight in the composition, for this image.
    pub weight: f64,
}

impl Classification {
    /// Index, name and probability of the most probable class; the first of equals.
    pub fn top(&self) -> (usize, &str, f32) {
        let best =
            |best: usize, next: usize| if self.probabilities[next] > self.probabilities[best] { next } else { best };
        let top = (1..self.probabilities.len()).fold(0, best);
        (top, &self.classes[top], self.probabilities[top])
    }
}

impl Classifier {
    /// Prepares `bundle` to run on this device and checks the device against the golden vectors.
    ///
    /// # Errors
    /// [`Error::Refused`] with one of the classes of payloads, [`Error::GoldenMismatch`] and [`Error::Device`] for a device that cannot
    /// run it.
    pub fn load(bundle: VerifiedBundle) -> Result<Self, Error> {
        Self::load_with(bundle, &Options::default())
    }

    /// As [`load`](Self::load), to run as `options` say.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_with(bundle: VerifiedBundle, options: &Options) -> Result<Self, Error> {
        let manifest = bundle.manifest().clone();
        let modules = manifest.modules.iter().map(|m| bundle.tensors(&m.entry)).collect::<Result<Vec<_>, _>>()?;
        let heads = manifest.heads.iter().map(|h| bundle.tensors(&h.entry)).collect::<Result<Vec<_>, _>>()?;
        let golden = bundle.tensors("golden.safetensors")?;
        let prototypes = manifest.routing.as_ref().map(|r| bundle.tensors(&r.entry)).transpose()?;
        let id: Arc<str> = bundle.id().into();
        let base = Base::load(bundle.entry("base.onnx")?, &bundle.views("base.safetensors")?, options.pool()?)?;
        drop(bundle);
        let (sites, feature, image) = (&base.signature.sites, base.signature.feature, base.signature.image);
        let stated = (manifest.base.image_size.map(|side| side as usize), manifest.base.feature_size as usize);
        if stated != (image, feature) {
            return Err(graph::refuse(format!(
                "is for {image:?} pixels and {feature} features, the manifest says {stated:?}"
            )));
        }
        let composition = |task: &str| -> &Composition {
            let of_task = |c: &&Composition| c.task == task;
            manifest.compositions.iter().find(of_task).expect("a checked manifest has a composition for every task")
        };
        let networks = |c: &Composition| match c.mode {
            Mode::Fusion => 1,
            Mode::Mixture => c.parts.len(),
            Mode::Routed => 1 + c.parts.len(),
        };
        let counted: Vec<_> = manifest.heads.iter().map(|h| (h, networks(composition(&h.task)))).collect();
        let golden = parts::golden(&counted, golden, image, feature)?;
        let routing = match (&manifest.routing, prototypes) {
            (Some(routing), Some(tensors)) => Some(parts::prototypes(routing, &manifest.heads, tensors, feature)?),
            _ => None,
        };
        let mut by_id = BTreeMap::new();
        for (module, tensors) in manifest.modules.iter().zip(modules) {
            by_id.insert(module.id.as_str(), (module, parts::module(module, tensors, sites)?));
        }
        let mut tasks = BTreeMap::new();
        for (head, tensors) in manifest.heads.iter().zip(heads) {
            let (weight, bias) = parts::head(head, tensors, feature)?;
            let task = Task::new(&base, composition(&head.task), &by_id, head.classes.clone(), weight, bias)?;
            tasks.insert(head.task.clone(), task);
        }
        let classifier = Classifier { base, bundle: id, preprocessing: manifest.preprocessing, tasks, routing };
        classifier.check_golden(&golden)?;
        Ok(classifier)
    }

    /// The tasks that can be asked for, sorted.
    pub fn tasks(&self) -> impl Iterator<Item = &str> {
        self.tasks.keys().map(String::as_str)
    }

    /// Class names of `task`; none if there is no such task.
    pub fn classes(&self, task: &str) -> Option<&[String]> {
        self.tasks.get(task).map(|task| &*task.classes)
    }

    /// The bundle's id.
    pub fn bundle_id(&self) -> &str {
        &self.bundle
    }

    /// What it takes of memory, by part.
    pub fn memory(&self) -> Memory {
        let (base, scratch) = self.base.bytes();
        Memory { base, modules: self.tasks.values().map(Task::bytes).sum(), scratch }
    }

    /// Classifies one image of any size; `task` may be left out if the bundle has only one, or tells tasks by their looks (routing): then
    /// the image's likeliest task is taken, and named in the result.
    ///
    /// # Errors
    /// [`Error::UnknownTask`], [`Error::TaskNeeded`], [`Error::Preprocessing`], [`Error::Device`].
    pub fn classify(&self, image: RgbView, task: Option<&str>) -> Result<Classification, Error> {
        let [height, width] = self.base.signature.image;
        let mut pixels = vec![0.0; 3 * height * width];
        let looks = task.is_none() && self.tasks.len() > 1;
        let mut known = (!looks).then(|| self.task(task)).transpose()?;
        if known.is_none() && self.routing.is_none() {
            return Err(Error::TaskNeeded { known: self.names() });
        }
        self.preprocessing.apply(&image, &mut pixels)?;
        let mut shares = None;
        if let Some(routing) = self.routing.as_ref().filter(|_| known.is_none_or(|(_, task)| task.routed())) {
            let found = routing.shares(&self.frozen(&pixels)?);
            let likelier = |a: &(&str, f64), b: &(&str, f64)| a.1.total_cmp(&b.1).then(b.0.cmp(a.0));
            let likeliest = found.iter().map(|(name, share)| (*name, *share)).max_by(likelier);
            known = known.or(likeliest.and_then(|(name, _)| self.task(Some(name)).ok()));
            shares = Some(found);
        }
        let Some((name, task)) = known else { return Err(Error::TaskNeeded { known: self.names() }) };
        let features = task.features(&self.base, &pixels)?;
        let weights = task.weights(shares.as_ref());
        let participants = task.modules.iter().zip(&weights);
        Ok(Classification {
            task: name.to_owned(),
            classes: task.classes.clone(),
            probabilities: task.probabilities(&features, &weights)?,
            bundle: self.bundle.clone(),
            modules: participants.map(|(id, weight)| Participant { id: id.clone(), weight: *weight }).collect(),
        })
    }

    /// Classifies several images, one after the other.
    ///
    /// # Errors
    /// As [`classify`](Self::classify), in [`Error::InBatch`] saying which image; none is classified by halves.
    pub fn classify_batch(&self, images: &[RgbView], task: Option<&str>) -> Result<Vec<Classification>, Error> {
        if let Some(name) = task {
            self.task(Some(name))?;
        }
        let one = |(index, image): (usize, &RgbView)| {
            self.classify(*image, task).map_err(|source| Error::InBatch { index, source: Box::new(source) })
        };
        images.iter().enumerate().map(one).collect()
    }

    fn frozen(&self, pixels: &[f32]) -> Result<Vec<f32>, Error> {
        let none = self.base.adapter(&BTreeMap::new())?;
        Ok(self.base.features(&[pixels.to_vec()], &[(0, &none)], &|| false)?.concat())
    }

    fn names(&self) -> String {
        self.tasks().collect::<Vec<_>>().join(", ")
    }

    fn task(&self, name: Option<&str>) -> Result<(&str, &Task), Error> {
        let known = || self.names();
        let found = match name {
            Some(name) => self.tasks.get_key_value(name),
            None if self.tasks.len() == 1 => self.tasks.first_key_value(),
            None => return Err(Error::TaskNeeded { known: known() }),
        };
        let unknown = || Error::UnknownTask { task: name.unwrap_or_default().into(), known: known() };
        found.map(|(name, task)| (name.as_str(), task)).ok_or_else(unknown)
    }

    fn check_golden(&self, golden: &parts::Golden) -> Result<(), Error> {
        for (name, task) in &self.tasks {
            let Some((expected_feature, expected)) = golden.by_task.get(name) else { continue };
            let mut features = task.features(&self.base, &golden.pixels)?;
            let mut shares = None;
            if let Some(routing) = self.routing.as_ref().filter(|_| task.routed()) {
                let frozen = self.frozen(&golden.pixels)?;
                shares = Some(routing.shares(&frozen));
                features.insert(0, frozen);
            }
            let probabilities =
                task.probabilities(&features[usize::from(task.routed())..], &task.weights(shares.as_ref()))?;
            let feature = features.concat();
            let square = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
            let pairs =
                feature.iter().zip(expected_feature).map(|(&ours, &theirs)| f64::from(ours) - f64::from(theirs));
            let size = square(&mut expected_feature.iter().map(|&v| f64::from(v)));
            let relative = square(&mut { pairs }) / size;
            let differences =
                probabilities.iter().zip(expected).map(|(&ours, &theirs)| f64::from((ours - theirs).abs()));
            let absolute = differences.fold(0.0, f64::max);
            // Written so that a NaN (a golden feature of zeros) is refused.
            if !(relative <= GOLDEN_TOLERANCE && absolute <= GOLDEN_TOLERANCE) {
                return Err(Error::GoldenMismatch { task: name.clone(), feature: relative, probability: absolute });
            }
        }
        Ok(())
    }
}
