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

use std::sync::Arc;

use crate::Error;
use crate::bundle::VerifiedBundle;
use crate::image::RgbView;
use crate::swap::Swap;
use process::Process;

mod active;
mod base;
mod change;
mod composed;
mod cost;
mod golden;
mod graph;
mod head;
mod load;
mod map;
mod options;
mod parts;
mod process;
mod record;
mod result;
mod rows;
mod selection;

pub use active::Active;
pub use cost::affordable;
pub use golden::{Answers, GOLDEN_LEVELS, GOLDEN_TOLERANCE, INT8_TOLERANCE};
pub use map::Map;
pub use options::{Cost, GOLDEN_IMAGES, Options, Precision, Spread, Threads};
pub use result::{Abstain, Assessment, Classification, Participant, Times};
pub use rows::Row;
pub use selection::{Cancel, Selection};

pub use crate::bundle::manifest::{Code, Mode, WeightedModule};

/// Bundles ready to classify.
pub struct Classifier {
    active: Swap<Active>,
    options: Options,
    process: Process,
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
