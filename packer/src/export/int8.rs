//! What arithmetic in eight bits costs a bundle. The devices' own runtime measures it on test
//! images, and it is written into the bundle with golden vectors of its own. Devices run a bundle
//! in eight bits only where its cost is known.
//!
//! Refused: bundles with a task for which there are no images, images of other classes, and test
//! images that say nothing about the cost.

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use medforge_runtime::bundle::manifest::{Int8Cost, Manifest};
use medforge_runtime::bundle::{Trust, VerifiedBundle, assemble, list, verify};
use medforge_runtime::classify::{Answers, Classifier, Options, Precision};
use medforge_runtime::image::RgbView;
use medforge_runtime::tensors::{self, Tensor};
use rayon::prelude::*;

use crate::Error;
use crate::data::{Dataset, Images, Progress, Split};
use crate::eval::bootstrap::{Bootstrap, RESAMPLES, interval};
use crate::eval::metrics::{Metric, Predictions};

const GOLDEN: &str = "golden.safetensors";

/// The bundle `bytes`, signed anew by `keys`, with the cost of eight bits for each task on the test
/// images of `data`.
///
/// # Errors
/// [`Error::Bundle`], [`Error::Evaluation`], [`Error::Runtime`].
pub fn measured(
    bytes: &[u8],
    data: &BTreeMap<String, Dataset>,
    keys: &[SigningKey],
) -> Result<Vec<u8>, Error> {
    let trust = Trust::new(keys.iter().map(SigningKey::verifying_key).collect(), keys.len())?;
    let bundle = verify(bytes.to_vec(), &trust)?;
    let eight = || Options { precision: Precision::Int8, ..Options::default() };
    let (int8, answers) = Classifier::rehearse(&bundle, eight())?;
    let full = Classifier::load_with(&bundle, Options::default())?;
    let tasks: Vec<&str> = bundle.manifest().heads.iter().map(|head| head.task.as_str()).collect();
    if let Some(unknown) = data.keys().find(|task| !tasks.contains(&task.as_str())) {
        return Err(Error::Bundle {
            what: format!("the bundle has no task {unknown}; it has {}", tasks.join(", ")),
        });
    }
    let mut costs = BTreeMap::new();
    for head in &bundle.manifest().heads {
        let task = &head.task;
        let Some(data) = data.get(task) else {
            return Err(Error::Bundle {
                what: format!(
                    "no images of {task} are there; name some to measure eight bits with"
                ),
            });
        };
        if data.classes != head.classes {
            let what = format!(
                "{} has the classes {:?}, task {task} has {:?}",
                data.root.display(),
                data.classes,
                head.classes
            );
            return Err(Error::Bundle { what });
        }
        costs.insert(task.clone(), cost(task, data, bundle.manifest(), [&full, &int8])?);
    }
    let written = with(&bundle, costs, answers, keys)?;
    let verified = verify(written.clone(), &trust)?;
    Classifier::load_with(&verified, eight())?;
    Classifier::load(verified)?;
    Ok(written)
}

/// Balanced accuracy on the test images under both classifiers (32 bits, then 8), and their
/// difference. Both see the same images, and are resampled together.
fn cost(
    task: &str,
    data: &Dataset,
    manifest: &Manifest,
    both: [&Classifier; 2],
) -> Result<Int8Cost, Error> {
    let images = Images::load(data, &data.indices(Split::Test), &manifest.preprocessing)?;
    let (size, classes) = (images.size(), data.classes.len());
    let progress = Progress::new("images in 32 and in eight bits", 2 * images.len());
    let mut answers = Vec::new();
    for classifier in both {
        let one = |image: usize| {
            let stride = size.width as usize * 3;
            let view = RgbView::new(images.pixels(image), size.width, size.height, stride)?;
            let found = classifier.classify(view, Some(task))?;
            progress.step();
            Ok(found.probabilities)
        };
        let all = (0..images.len()).into_par_iter().map(one);
        let probabilities = all.collect::<Result<Vec<_>, Error>>()?.concat();
        answers.push(Predictions::new(&probabilities, images.labels(), classes)?);
    }
    drop(progress);
    let value = |predictions: &Predictions, weights: &[u32]| {
        predictions.metrics(weights)[Metric::BalancedAccuracy as usize].unwrap_or(f64::NAN)
    };
    let once = vec![1; images.len()];
    let bootstrap = Bootstrap::new(images.labels(), images.groups(), RESAMPLES, 0).map_err(|class| {
        let class = &data.classes[class];
        Error::Evaluation {
            what: format!(
                "class {class} of {task} has test images of one group only, so nothing can be said \
                 of eight bits"
            ),
        }
    })?;
    let differences =
        bootstrap.run(|weights| value(&answers[1], weights) - value(&answers[0], weights));
    let (low, high) = interval(differences).unwrap_or((f64::NAN, f64::NAN));
    let [f32, int8] = [0, 1].map(|which: usize| value(&answers[which], &once));
    Ok(Int8Cost {
        name: "balanced_accuracy".into(),
        f32,
        int8,
        low: low.min(int8 - f32),
        high: high.max(int8 - f32),
        n: images.len() as u64,
    })
}

/// The bundle with costs, golden vectors and a section in the model card.
fn with(
    bundle: &VerifiedBundle,
    costs: BTreeMap<String, Int8Cost>,
    answers: Answers,
    keys: &[SigningKey],
) -> Result<Vec<u8>, Error> {
    let manifest = bundle.manifest();
    let mut payload = BTreeMap::new();
    for entry in &manifest.entries {
        payload.insert(entry.name.clone(), bundle.entry(&entry.name)?.to_vec());
    }
    let mut golden = bundle.tensors(GOLDEN)?;
    for head in &manifest.heads {
        let Some((features, probabilities)) = answers.get(&head.task) else { continue };
        let width = manifest.base.feature_size as usize;
        let features = Tensor::f32(vec![features.len() / width, width], features.clone());
        golden.insert(format!("int8.feature.{}", head.task), features);
        let probabilities = Tensor::f32(vec![1, probabilities.len()], probabilities.clone());
        golden.insert(format!("int8.probabilities.{}", head.task), probabilities);
    }
    let tensors = golden.iter().map(|(name, tensor)| (name.as_str(), tensor));
    payload.insert(GOLDEN.into(), tensors::write(tensors, &BTreeMap::new())?);
    if let Some(card) = payload.get_mut("model_card.md") {
        card.extend_from_slice(
            b"\n## In eight bits\n\nBalanced accuracy on test images in 32 bits \
                                 and in eight, and the difference with its 95 % interval.\n\n",
        );
        for (task, c) in &costs {
            let line = format!(
                "- {task}: {:.3} and {:.3}, {:+.3} ({:+.3} to {:+.3}), {} images\n",
                c.f32,
                c.int8,
                c.int8 - c.f32,
                c.low,
                c.high,
                c.n
            );
            card.extend_from_slice(line.as_bytes());
        }
    }
    let manifest = Manifest { int8: costs, entries: list(&payload), ..manifest.clone() };
    Ok(assemble(&manifest, &payload, keys)?)
}
