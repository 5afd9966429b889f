//! The attack finds members where there is something to find, and nothing where there is not;
//! distances show copies.

use crate::base::Family;
use crate::base::tests::small;
use crate::data::{Images, Split};
use crate::device::cpu::Cpu;
use crate::random::{Purpose, Stream};
use crate::train::tests::data;

use super::*;

const IMAGES: usize = 400;

/// Sixteen shadows of random halves. The statistic of members is higher by `lift`, in units of its
/// noise.
fn scores(lift: f64, seed: u64) -> Scores {
    let mut stream = Stream::at(seed, Purpose::Noise, 1, 2);
    let base: Vec<f64> = (0..IMAGES).map(|_| 5.0 * stream.normal()).collect();
    let mut scores = Scores { inside: vec![], statistics: vec![vec![]] };
    for _ in 0..16 {
        let inside: Vec<bool> = (0..IMAGES).map(|_| stream.coin()).collect();
        let value = |i: usize, stream: &mut Stream| {
            base[i] + lift * f64::from(u8::from(inside[i])) + stream.normal()
        };
        scores.statistics[0].push((0..IMAGES).map(|i| value(i, &mut stream)).collect());
        scores.inside.push(inside);
    }
    scores
}

fn judge(scores: &Scores) -> Membership {
    let labels: Vec<usize> = (0..IMAGES).map(|i| i % 2).collect();
    let groups: Vec<usize> = (0..IMAGES).map(|i| i / 2 * 2 + i % 2).collect();
    membership(scores, &labels, &groups, 0).unwrap()
}

#[test]
fn members_are_found_where_they_differ_and_only_there() {
    let nothing = judge(&scores(0.0, 1));
    assert!(nothing.auc.low < 0.5 && nothing.auc.high > 0.5, "{nothing:?}");
    assert!(
        nothing.tpr_at_1_percent.low <= 0.01 && nothing.tpr_at_1_percent.value < 0.025,
        "{nothing:?}"
    );
    assert_eq!((nothing.shadows, nothing.judged), (16, 16 * IMAGES));
    // For normal noise: AUC = F(lift / sqrt 2) = .921 and TPR = 1 - F(2.326 - 2) = .37 if the means
    // were known exactly.
    let much = judge(&scores(2.0, 2));
    assert!((0.86..0.925).contains(&much.auc.value) && much.auc.low > 0.8, "{much:?}");
    assert!((0.2..0.4).contains(&much.tpr_at_1_percent.value), "{much:?}");
    assert!(much.tpr_at_01_percent.value < much.tpr_at_1_percent.value);
    let plain = judge(&scores(50.0, 3));
    assert_eq!((plain.auc.value, plain.tpr_at_01_percent.value), (1.0, 1.0));
}

#[test]
fn equal_scores_tell_nothing() {
    let mut same = scores(0.0, 4);
    same.statistics[0].iter_mut().flatten().for_each(|v| *v = 1.0);
    let found = judge(&same);
    assert!((found.auc.value - 0.5).abs() < 0.02, "{found:?}");
    assert!(found.tpr_at_1_percent.value < 0.03, "{found:?}");
}

#[test]
fn three_shadows_are_refused() {
    let mut few = scores(0.0, 1);
    few.inside.truncate(3);
    let error = membership(&few, &[0, 1], &[0, 1], 0).unwrap_err().to_string();
    assert!(error.contains("four shadows"), "{error}");
}

/// A set that holds the training images themselves has no distance from them. A set made from noise
/// favours neither side.
#[test]
fn copies_are_nearer_to_what_they_were_made_from() {
    use crate::condense::{Condensation, CondenseSettings, Matching, Source, Target};
    use crate::data::{Labels, Start};
    use crate::train::Unobserved;
    let (_dir, dataset) = data();
    let vit = small(Family::Dinov2);
    let device = Cpu::<f32>::new();
    let preprocessing = vit.preprocessing_for(8).unwrap();
    let load = |split| Images::load(&dataset, &dataset.indices(split), &preprocessing).unwrap();
    let (training, control) = (load(Split::Train), load(Split::Test));
    let settings = CondenseSettings {
        size: 8,
        per_class: 8,
        iterations: 2,
        batch: 32,
        learning_rate: 1e-4,
        momentum: 0.0,
        views: 2,
        augment: true,
        blocks: 2,
        matching: Matching::Feature,
        target: Target::Cluster,
        perturbation: 0.0,
        ridge: 0.0,
        start: Start::Real,
        labels: Labels::Hard,
        real_per_class: 512,
        seed: 1,
    };
    let source = Source { vit: &vit, classes: &dataset.classes, images: &training, module: None };
    let condensation = Condensation::new(&device, source, "t", &settings);
    let set = condensation.run(None, &mut Unobserved).unwrap();
    let [pixels, features] = distances(&device, &vit, &set, &training, &control, 0).unwrap();
    assert!(pixels.least_to_training < 0.02 && pixels.nearer_to_training.value > 0.5, "{pixels:?}");
    assert!(pixels.least_to_training < pixels.least_to_control, "{pixels:?}");
    assert!(
        features.to_training <= features.to_control && pixels.real == control.len(),
        "{features:?}"
    );
    let shadows = Shadows { count: 6, seed: 0 };
    let scores = set_scores(&device, source, &set, shadows, &mut Unobserved, |_| {}).unwrap();
    let found = membership(&scores, training.labels(), training.groups(), 0).unwrap();
    assert!(found.auc.value > 0.55, "{found:?}");
}
