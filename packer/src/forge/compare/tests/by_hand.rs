//! The numbers of a network, computed from their definitions.

use std::collections::BTreeMap;

use super::{RESAMPLES, SEED, parts};
use crate::contribution::Parts;
use crate::contribution::tests::base;
use crate::data::{Dataset, Images, Split};
use crate::device::cpu::Cpu;
use crate::eval::bootstrap::Bootstrap;
use crate::lora::Head;
use crate::merge::compose::Judge;
use crate::merge::routed::Prototypes;
use crate::merge::{Sites, Task};
use crate::predict::{Predictor, argmax};

/// The test images, and their features under the base changed by `sites`.
pub fn see(sites: &Sites, data: &Dataset) -> (Images, Vec<Vec<f32>>) {
    let (vit, device) = (base(), Cpu::<f32>::new());
    let images =
        Images::load(data, &data.indices(Split::Test), &vit.preprocessing_for(8).unwrap()).unwrap();
    let all: Vec<usize> = (0..images.len()).collect();
    let features =
        Predictor::changed(&device, &vit, sites, 8).features_of(&images, &all, |_| ()).unwrap();
    (images, features)
}

/// softmax(W f + b), from its definition.
fn softmax(head: &Head, feature: &[f32]) -> Vec<f64> {
    let dot = |row: &[f32]| {
        row.iter().zip(feature).map(|(w, f)| f64::from(*w) * f64::from(*f)).sum::<f64>()
    };
    let rows = head.weight.data.chunks_exact(feature.len()).zip(&head.bias.data);
    let odds: Vec<f64> = rows.map(|(row, bias)| (dot(row) + f64::from(*bias)).exp()).collect();
    odds.iter().map(|odd| odd / odds.iter().sum::<f64>()).collect()
}

/// The mean recall of two classes, with every image counted `weights` times.
fn accuracy(predicted: &[Option<usize>], labels: &[usize], weights: &[u32]) -> f64 {
    let count = |class: usize, right: bool| -> f64 {
        let of_class = (0..labels.len())
            .filter(|i| labels[*i] == class && (!right || predicted[*i] == Some(class)));
        of_class.map(|i| f64::from(weights[i])).sum()
    };
    let recalls: Vec<f64> = [0, 1]
        .into_iter()
        .filter(|c| count(*c, false) > 0.0)
        .map(|c| count(c, true) / count(c, false))
        .collect();
    recalls.iter().sum::<f64>() / recalls.len() as f64
}

/// One task's numbers: [accuracy, AUC, accuracy with the task unknown, the same with routing], and
/// the accuracy in every resample.
pub fn by_hand(
    sites: &Sites,
    task: &str,
    heads: &BTreeMap<String, Head>,
    data: &Dataset,
) -> ([f64; 4], Vec<f64>) {
    let (images, features) = see(sites, data);
    let probabilities: Vec<Vec<f64>> = features.iter().map(|f| softmax(&heads[task], f)).collect();
    let predicted: Vec<Option<usize>> =
        probabilities.iter().map(|p| Some(usize::from(p[1] > p[0]))).collect();
    let open: Vec<Option<usize>> = features
        .iter()
        .zip(&predicted)
        .map(|(feature, predicted)| {
            let sure = |head: &Head| softmax(head, feature).into_iter().fold(0.0, f64::max);
            let best = heads.iter().max_by(|a, b| sure(a.1).total_cmp(&sure(b.1))).unwrap();
            predicted.filter(|_| best.0 == task)
        })
        .collect();
    let prototypes = prototypes();
    let routed: Vec<Option<usize>> = see(&Sites::new(), data)
        .1
        .iter()
        .zip(&predicted)
        .map(|(feature, predicted)| {
            predicted.filter(|_| {
                heads.keys().nth(argmax(&prototypes.task_probabilities(feature))).unwrap() == task
            })
        })
        .collect();
    let labels = images.labels();
    let (mut above, mut pairs) = (0.0, 0.0);
    for (i, j) in (0..labels.len()).flat_map(|i| (0..labels.len()).map(move |j| (i, j))) {
        if labels[i] == 1 && labels[j] == 0 {
            pairs += 1.0;
            above += f64::from(u8::from(probabilities[i][1] > probabilities[j][1]));
        }
    }
    let once = vec![1; labels.len()];
    let draws = Bootstrap::new(labels, images.groups(), RESAMPLES, SEED)
        .unwrap()
        .run(|w| accuracy(&predicted, labels, w));
    (
        [
            accuracy(&predicted, labels, &once),
            above / pairs,
            accuracy(&open, labels, &once),
            accuracy(&routed, labels, &once),
        ],
        draws,
    )
}

/// The prototypes of the three hospitals' condensed sets.
fn prototypes() -> Prototypes {
    let (vit, device) = (base(), Cpu::<f32>::new());
    let hospitals = [1, 2, 3].map(|n| {
        let Parts { module, condensed, .. } = parts(n);
        (module, condensed.rounded())
    });
    let tasks = hospitals.each_ref().map(|(module, set)| Task {
        name: &module.card.task,
        head: &module.head,
        set,
    });
    Judge::new(&device, &vit).prototypes(&tasks).unwrap()
}

/// [cross-entropy, accuracy] on the condensed set of hospital `n`.
pub fn on_condensed(sites: &Sites, n: u8) -> [f64; 2] {
    let Parts { module, condensed, .. } = parts(n);
    let (set, vit, device) = (condensed.rounded(), base(), Cpu::<f32>::new());
    let features = Predictor::changed(&device, &vit, sites, 8).features(&set.normalised()).unwrap();
    let rows = features.chunks_exact(vit.config.hidden).map(|f| softmax(&module.head, f));
    let rows: Vec<Vec<f64>> = rows.collect();
    let predicted: Vec<Option<usize>> =
        rows.iter().map(|p| Some(usize::from(p[1] > p[0]))).collect();
    let labels = set.classes();
    let loss: f64 = rows.iter().zip(&labels).map(|(p, label)| -p[*label].ln()).sum();
    [loss / labels.len() as f64, accuracy(&predicted, &labels, &vec![1; labels.len()])]
}
