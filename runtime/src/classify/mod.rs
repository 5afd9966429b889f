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
//! A classifier may be shared between threads, and starts none unless it is told to. What it runs
//! with is an immutable [`Active`] set; bundles are added, unloaded and replaced, and defaults
//! changed, while other threads classify: calls under way finish with the set that they began with,
//! and every result names what it used. Loading a bundle runs its golden vectors. Refused: bundles
//! whose graph, modules, heads and manifest do not fit one another, bundles that take more than
//! [`Options::most`], which is known before anything is made, and devices that disagree with the
//! golden vectors; nothing is changed then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::Error;
use crate::bundle::VerifiedBundle;
use crate::image::RgbView;
use crate::swap::Swap;
use process::Process;

mod active;
mod base;
mod composed;
mod cost;
mod graph;
mod load;
mod map;
mod options;
mod parts;
mod process;
mod record;
mod selection;

pub use active::{Active, Row};
pub use cost::affordable;
pub use map::Map;
pub use options::{Cost, GOLDEN_IMAGES, Options, Precision, Spread, Threads};
pub use selection::{Cancel, Selection};

pub use crate::bundle::manifest::{Code, Mode, Part};

/// Largest relative error of a feature, `||ours - golden|| / ||golden||`, and largest absolute
/// error of a probability, by which a device may differ from the golden vectors.
pub const GOLDEN_TOLERANCE: f64 = 1e-3;

/// By how many grey levels a pixel of the golden image may differ after preprocessing: resizing
/// rounds to whole ones.
pub const GOLDEN_LEVELS: f64 = 1.01;

/// [`GOLDEN_TOLERANCE`] in eight bits: what is rounded to one step here may be rounded to the next
/// one on another processor, and the blocks after it carry that on (2 % of a feature were seen
/// between two sets of instructions).
pub const INT8_TOLERANCE: f64 = 0.1;

/// Bundles ready to classify.
pub struct Classifier {
    active: Swap<Active>,
    options: Options,
    process: Process,
}

/// What a classifier found in one image, and with what.
#[derive(Debug, Clone, PartialEq)]
pub struct Classification {
    /// The task.
    pub task: String,
    /// Class names.
    pub classes: Arc<[String]>,
    /// What each class is in a coding scheme, where the bundle says it.
    pub codes: Arc<[Code]>,
    /// As many as classes; they sum to 1.
    pub probabilities: Vec<f32>,
    /// What the task's calibration says of the image; none where the task was not calibrated, or
    /// not for what it ran with here.
    pub assessment: Option<Assessment>,
    /// The id of the bundle that the task came with.
    pub bundle: Arc<str>,
    /// The trusted public keys that signed it, in hex.
    pub signers: Arc<[String]>,
    /// SHA-256 of the base, the head, how the modules act together and their weights: equal if and
    /// only if these are.
    pub composition: Arc<str>,
    /// The modules that took part.
    pub modules: Arc<[Participant]>,
    /// How long it took.
    pub times: Times,
}

/// Whether an image is of a kind that a task's module knows, and its answer one to rely on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Assessment {
    /// The out-of-distribution score: Mahalanobis' distance of the image's feature from the nearest
    /// class of the training images (Lee et al. 2018, section 2.1), divided by the root of the
    /// feature's width. About 1 for images like those.
    pub score: f64,
    /// The score that 95 % of the images that the task was calibrated on did not exceed.
    pub threshold: f64,
    /// Why there should be no answer, if so. Probabilities are given all the same, for the record.
    pub abstain: Option<Abstain>,
}

/// Why a task should give no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abstain {
    /// The out-of-distribution score is above the threshold.
    Unfamiliar,
    /// No class is as probable as the bundle asks for.
    Unsure,
}

impl Abstain {
    /// Its word in records.
    pub fn name(self) -> &'static str {
        match self {
            Abstain::Unfamiliar => "unfamiliar",
            Abstain::Unsure => "unsure",
        }
    }
}

/// How long the parts of a classification took, on the wall. They are never what makes two
/// classifications differ.
#[derive(Debug, Clone, Copy, Default)]
pub struct Times {
    /// Resizing and normalising its image.
    pub preprocessing: Duration,
    /// The base, for all rows of the call together.
    pub base: Duration,
}

impl PartialEq for Times {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// Bytes in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// The base's weights.
    pub base: usize,
    /// Modules, and what defaults have laid out of them.
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

/// By task, what it answers to the golden pixels: features, `[networks, feature]`, and
/// probabilities.
pub type Answers = BTreeMap<String, (Vec<f32>, Vec<f32>)>;

impl Classification {
    /// Index, name and probability of the most probable class; the first of equals.
    pub fn top(&self) -> (usize, &str, f32) {
        let best = |best: usize, next: usize| {
            if self.probabilities[next] > self.probabilities[best] { next } else { best }
        };
        let top = (1..self.probabilities.len()).fold(0, best);
        (top, &self.classes[top], self.probabilities[top])
    }

    /// Why there should be no answer, if so; never where nothing was calibrated.
    pub fn abstains(&self) -> Option<Abstain> {
        self.assessment.and_then(|assessment| assessment.abstain)
    }
}

impl Classifier {
    /// Prepares `bundle` to run on this device and checks the device against the golden vectors.
    ///
    /// # Errors
    /// [`Error::Refused`] with one of the classes of payloads, [`Error::GoldenMismatch`] and
    /// [`Error::Device`] for a device that cannot run it.
    pub fn load(bundle: VerifiedBundle) -> Result<Self, Error> {
        Self::load_with(&bundle, Options::default())
    }

    /// As [`load`](Self::load), to run as `options` say.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_with(bundle: &VerifiedBundle, options: Options) -> Result<Self, Error> {
        let active = load::active(bundle, &options, None, 0)?;
        Ok(Self::of(active, options))
    }

    /// For who packs, not for devices: as [`load_with`](Self::load_with), but the golden vectors
    /// are not checked. They are computed, and come with the classifier.
    ///
    /// # Errors
    /// As [`load_with`](Self::load_with).
    pub fn rehearse(bundle: &VerifiedBundle, options: Options) -> Result<(Self, Answers), Error> {
        let (active, answers) = load::rehearsed(bundle, &options)?;
        Ok((Self::of(active, options), answers))
    }

    fn of(active: Active, options: Options) -> Self {
        Classifier { active: Swap::new(active), options, process: Process::this() }
    }

    /// Whether it may be used here: after `fork()`, only the process that loaded it may. Every call
    /// that can fail asks.
    ///
    /// # Errors
    /// [`Error::OtherProcess`].
    pub fn check_process(&self) -> Result<(), Error> {
        self.process.check()
    }

    /// The set as it is now. What is classified with it does not change when the classifier does,
    /// and its memory goes when the last one who has it lets it go.
    pub fn active(&self) -> Arc<Active> {
        self.active.get()
    }

    /// Goes on with `bundle` alone. A base that is the same stays as it is in memory.
    ///
    /// # Errors
    /// As [`load`](Self::load); nothing is changed then.
    pub fn replace(&self, bundle: VerifiedBundle) -> Result<(), Error> {
        self.check_process()?;
        self.active.change(|current| load::active(&bundle, &self.options, Some(current), 0))
    }

    /// Adds the modules and tasks of `bundle`, which must have the same base, size of images and
    /// preprocessing.
    ///
    /// # Errors
    /// As [`load`](Self::load), and [`Error::Unchanged`] where bases differ or a task has that name
    /// already; nothing is changed then.
    pub fn add(&self, bundle: VerifiedBundle) -> Result<(), Error> {
        self.check_process()?;
        self.active.change(|current| {
            let unchanged = |what: String| Err(Error::Unchanged { what });
            let manifest = bundle.manifest();
            if manifest.base.digest != current.digest {
                return unchanged(format!(
                    "the bundle is for base {}, in use is {}; open it by itself",
                    manifest.base.digest, current.digest
                ));
            }
            if manifest.preprocessing != current.preprocessing {
                return unchanged(
                    "the bundle prepares images in another way; open it by itself".into(),
                );
            }
            if let Some(head) =
                manifest.heads.iter().find(|head| current.tasks.contains_key(&head.task))
            {
                return unchanged(format!(
                    "there is a task {} already; unload its bundle first",
                    head.task
                ));
            }
            let beside = current.bundles.values().map(|brought| brought.bytes).sum();
            let added = load::active(&bundle, &self.options, Some(current), beside)?;
            if !Arc::ptr_eq(&added.base, &current.base) {
                return unchanged(
                    "the bundle has another graph for the same weights; open it by itself".into(),
                );
            }
            let mut next = current.clone();
            next.modules.extend(added.modules);
            next.tasks.extend(added.tasks);
            next.bundles.extend(added.bundles);
            Ok(next)
        })
    }

    /// Lets go of a bundle, by its id: of its tasks, and of those modules that no other bundle
    /// brought.
    ///
    /// # Errors
    /// [`Error::Unchanged`] for an unknown id, for the last bundle, and for modules that another
    /// task's default needs.
    pub fn unload(&self, bundle: &str) -> Result<(), Error> {
        self.check_process()?;
        self.active.change(|current| {
            let unchanged = |what: String| Err(Error::Unchanged { what });
            let mut next = current.clone();
            if next.bundles.remove(bundle).is_none() {
                let known = current.bundles().collect::<Vec<_>>().join(", ");
                return unchanged(format!("there is no bundle {bundle}; there are {known}"));
            }
            if next.bundles.is_empty() {
                return unchanged(
                    "it is the only bundle; replace it, or close the classifier".into(),
                );
            }
            next.tasks.retain(|_, task| &*task.bundle != bundle);
            let kept: BTreeSet<&String> =
                next.bundles.values().flat_map(|brought| &brought.modules).collect();
            next.modules.retain(|id, _| kept.contains(id));
            for (name, task) in &next.tasks {
                if let Some(module) =
                    task.default.modules().find(|module| !next.modules.contains_key(&module.id))
                {
                    return unchanged(format!(
                        "the default of task {name} needs module {}; change it first",
                        module.id
                    ));
                }
            }
            Ok(next)
        })
    }

    /// What `task` runs with from now on where a call says nothing else.
    ///
    /// # Errors
    /// [`Error::UnknownTask`], [`Error::UnknownModule`], [`Error::Selection`]; nothing is changed
    /// then.
    pub fn set_default(&self, task: &str, selection: &Selection) -> Result<(), Error> {
        self.check_process()?;
        self.active.change(|current| {
            selection.check()?;
            let default = current.composed(current.task(Some(task))?, selection)?;
            let mut next = current.clone();
            next.tasks.entry(task.to_owned()).and_modify(|task| task.default = default);
            Ok(next)
        })
    }

    /// What it takes of memory, by part.
    pub fn memory(&self) -> Memory {
        let active = self.active();
        let (base, scratch) = active.base.bytes();
        let modules = active.modules.values().map(|module| module.bytes()).sum::<usize>();
        let fused = active.tasks.values().map(|task| task.default.bytes()).sum::<usize>();
        Memory { base, modules: modules + fused, scratch }
    }

    /// Classifies one image of any size with the task's default; `task` may be left out if there is
    /// only one, or if the bundle tells tasks by their looks (routing): then the image's likeliest
    /// task is taken, and named in the result.
    ///
    /// # Errors
    /// [`Error::UnknownTask`], [`Error::TaskNeeded`], [`Error::Preprocessing`], [`Error::Device`].
    pub fn classify(&self, image: RgbView, task: Option<&str>) -> Result<Classification, Error> {
        self.classify_with(image, task, &Selection::Default, &Cancel::default())
    }

    /// Classifies one image with `selection`, unless it is cancelled.
    ///
    /// # Errors
    /// As [`classify`](Self::classify), and [`Error::UnknownModule`], [`Error::Selection`],
    /// [`Error::Cancelled`].
    pub fn classify_with(
        &self,
        image: RgbView,
        task: Option<&str>,
        selection: &Selection,
        cancel: &Cancel,
    ) -> Result<Classification, Error> {
        self.check_process()?;
        let row = Row { image: 0, task, selection: selection.clone() };
        only(self.active().classify_rows(&[image], &[row], cancel))
    }

    /// Classifies one image as [`classify_with`](Self::classify_with) does, to the same bits, and
    /// says where in it the answer comes from.
    ///
    /// # Errors
    /// As [`classify_with`](Self::classify_with).
    pub fn explain(
        &self,
        image: RgbView,
        task: Option<&str>,
        selection: &Selection,
        cancel: &Cancel,
    ) -> Result<(Classification, Map), Error> {
        self.check_process()?;
        let row = Row { image: 0, task, selection: selection.clone() };
        only(self.active().explain_rows(&[image], &[row], cancel))
    }

    /// Classifies several images, all with the set as it is when the call begins.
    ///
    /// # Errors
    /// As [`classify`](Self::classify), in [`Error::InBatch`] saying which image; none is
    /// classified by halves.
    pub fn classify_batch(
        &self,
        images: &[RgbView],
        task: Option<&str>,
    ) -> Result<Vec<Classification>, Error> {
        self.check_process()?;
        let active = self.active();
        if task.is_some() {
            active.task(task)?;
        }
        let rows: Vec<Row> =
            (0..images.len()).map(|image| Row { image, task, ..Row::default() }).collect();
        active.classify_rows(images, &rows, &Cancel::default())
    }
}

/// The result of a call's one row, whose errors need not say which image it was.
fn only<T>(found: Result<Vec<T>, Error>) -> Result<T, Error> {
    let found = found.map_err(|error| match error {
        Error::InBatch { source, .. } => *source,
        other => other,
    });
    found?.pop().ok_or_else(|| Error::Device { what: "no result".into() })
}
