//! What a classifier found in an image, and with what.

use std::sync::Arc;
use std::time::Duration;

use crate::bundle::manifest::Code;

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
