//! The golden vectors of a bundle: what its base and tasks answered where it was packed, and
//! whether they answer so here.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::active::{Active, Task};
use super::base::Adapter;
use super::parts::{self, Prototypes};
use crate::bundle::VerifiedBundle;
use crate::bundle::manifest::{Composition, Manifest, Mode};
use crate::image::RgbImage8;
use crate::preprocess::Preprocessing;
use crate::{Error, memory};

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

/// By task, what it answers to the golden pixels: features, `[networks, feature]`, and
/// probabilities.
pub type Answers = BTreeMap<String, (Vec<f32>, Vec<f32>)>;

/// Whether the set of `bundle` answers as its golden vectors say, in eight bits with `int8`.
pub(super) fn check(active: &Active, bundle: &VerifiedBundle, int8: bool) -> Result<(), Error> {
    let golden = golden(active, bundle)?;
    if let Some(image) = &golden.image {
        prepared(&active.preprocessing, image, &golden.pixels)?;
    }
    let (expected, tolerance) =
        if int8 { (&golden.int8, INT8_TOLERANCE) } else { (&golden.by_task, GOLDEN_TOLERANCE) };
    for (task, answer) in answers(active, golden.pixels)? {
        let Some(expected) = expected.get(&task) else { continue };
        compare(task, &answer, expected, tolerance)?;
    }
    Ok(())
}

/// What the set of `bundle` answers to the golden pixels.
pub(super) fn computed(active: &Active, bundle: &VerifiedBundle) -> Result<Answers, Error> {
    answers(active, golden(active, bundle)?.pixels)
}

/// What a task runs with by default, as the manifest says.
pub(super) fn composition<'a>(manifest: &'a Manifest, task: &str) -> &'a Composition {
    let of_task = |c: &&Composition| c.task == task;
    manifest
        .compositions
        .iter()
        .find(of_task)
        .expect("a checked manifest has a composition for every task")
}

fn golden(active: &Active, bundle: &VerifiedBundle) -> Result<parts::Golden, Error> {
    let manifest = bundle.manifest();
    let networks = |task: &str| match composition(manifest, task) {
        Composition { mode: Mode::Fusion, .. } => 1,
        Composition { mode: Mode::Mixture, parts, .. } => parts.len(),
        Composition { mode: Mode::Routed, parts, .. } => 1 + parts.len(),
    };
    let counted: Vec<_> = manifest.heads.iter().map(|head| (head, networks(&head.task))).collect();
    let (image, width) = (active.base.signature.image, active.base.signature.feature);
    let tensors = bundle.tensors("golden.safetensors")?;
    parts::golden(&counted, tensors, image, width, !manifest.int8.is_empty())
}

/// Each network once, whatever tasks it takes part in.
fn answers(active: &Active, pixels: Vec<f32>) -> Result<Answers, Error> {
    let mut networks: Vec<&Arc<Adapter>> = Vec::new();
    let mut place = |network| {
        networks.iter().position(|known| Arc::ptr_eq(known, network)).unwrap_or_else(|| {
            networks.push(network);
            networks.len() - 1
        })
    };
    let mut taking = Vec::with_capacity(active.tasks.len());
    for (name, task) in &active.tasks {
        let routing = task.routing.as_ref().filter(|_| task.default.routed());
        let all = routing.map(|_| &active.frozen).into_iter().chain(&task.default.networks);
        taking.push((name, task, routing, all.map(&mut place).collect::<Vec<_>>()));
    }
    let rows: Vec<_> = networks.iter().map(|network| (0, &***network)).collect();
    let seen = active.base.run(&[pixels], &rows, false, &|| false)?;
    let answer =
        |(name, task, routing, places): (&String, &Task, Option<&Arc<Prototypes>>, Vec<usize>)| {
            let features: Vec<Vec<f32>> =
                places.iter().map(|&place| seen[place].feature.clone()).collect();
            if features.iter().flatten().any(|value| !value.is_finite()) {
                return Err(Error::GoldenFeature { task: name.clone() });
            }
            let shares = routing.map(|routing| routing.shares(&features[0]));
            let own = &features[usize::from(routing.is_some())..];
            let composed = &task.default;
            let probabilities =
                composed.probabilities(&task.head, own, &composed.weights(shares.as_ref()))?;
            Ok((name.clone(), (features.concat(), probabilities)))
        };
    taking.into_iter().map(answer).collect()
}

/// Whether the golden image becomes the golden pixels here, each to one grey level.
fn prepared(preprocessing: &Preprocessing, image: &RgbImage8, golden: &[f32]) -> Result<(), Error> {
    let mut ours = memory::floats(golden.len(), "the golden image's pixels")?;
    preprocessing
        .apply(&image.view(), &mut ours)
        .map_err(|_| Error::GoldenPixels { levels: f64::INFINITY })?;
    let plane = golden.len() / 3;
    let pairs = ours.iter().zip(golden).enumerate();
    let levels = pairs.map(|(place, (&ours, &golden))| {
        f64::from((ours - golden).abs()) * preprocessing.std[place / plane] / preprocessing.rescale
    });
    let levels = levels.fold(0.0, f64::max);
    if levels <= GOLDEN_LEVELS { Ok(()) } else { Err(Error::GoldenPixels { levels }) }
}

fn compare(
    task: String,
    (features, probabilities): &(Vec<f32>, Vec<f32>),
    (expected_features, expected): &(Vec<f32>, Vec<f32>),
    tolerance: f64,
) -> Result<(), Error> {
    let lengths = |features: &[f32], probabilities: &[f32]| (features.len(), probabilities.len());
    if lengths(features, probabilities) != lengths(expected_features, expected) {
        return Err(Error::GoldenMismatch {
            task,
            feature: f64::INFINITY,
            probability: f64::INFINITY,
        });
    }
    let square = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let pairs = features
        .iter()
        .zip(expected_features)
        .map(|(&ours, &theirs)| f64::from(ours) - f64::from(theirs));
    let size = square(&mut expected_features.iter().map(|&v| f64::from(v)));
    let feature = square(&mut { pairs }) / size;
    let differences =
        probabilities.iter().zip(expected).map(|(&ours, &theirs)| f64::from((ours - theirs).abs()));
    let probability = differences.fold(0.0, f64::max);
    // Written so that a NaN (a golden feature of zeros) is refused.
    if feature <= tolerance && probability <= tolerance {
        Ok(())
    } else {
        Err(Error::GoldenMismatch { task, feature, probability })
    }
}
