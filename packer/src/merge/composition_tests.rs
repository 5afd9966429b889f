//! Merging on a small transformer: what the tests of methods share, and compositions from modules
//! to answers.

use crate::base::tests::small;
use crate::base::{Family, Vit};
use crate::data::{Condensed, condensed_tests};
use crate::device::cpu::Cpu;
use crate::lora::Module;
use crate::lora::tests::module;
use crate::predict::{Predictor, linear_head, probabilities};

use super::compose::{self, Judge};
use super::fusion::{self, FusionSettings};
use super::mixture::MixtureSettings;
use super::model::{Composition, Model};
use super::{Sites, Task};

/// Two modules of one base with different sites, and the condensed sets of their tasks.
pub fn setting() -> (Vit, [Module; 2], [Condensed; 2]) {
    let vit = small(Family::Dinov2);
    let modules = [module(&vit, "q,v", None), module(&vit, "v,fc1", Some(1))];
    let set = |seed: usize| {
        let mut set = condensed_tests::set();
        set.record.classes = modules[0].head.classes.clone();
        set.record.base_digest = vit.digest();
        set.record.image_size = 8;
        set.record.preprocessing = vit.preprocessing_for(8).unwrap();
        set.images = (0..2 * 192).map(|i| ((i * 37 + seed * 101) % 256) as f32 / 256.0).collect();
        set
    };
    let sets = [set(1), set(2)];
    (vit, modules, sets)
}

pub fn tasks<'a>(modules: &'a [Module; 2], sets: &'a [Condensed; 2]) -> Vec<Task<'a>> {
    let of =
        |(m, set): (&'a Module, &'a Condensed)| Task { name: &m.card.task, head: &m.head, set };
    modules.iter().zip(sets).map(of).collect()
}

pub fn parts(modules: &[Module; 2]) -> Vec<Sites> {
    modules.iter().map(compose::sites).collect()
}

/// [`tasks`] under names of their own.
fn named<'a>(modules: &'a [Module; 2], sets: &'a [Condensed; 2]) -> Vec<Task<'a>> {
    let mut tasks = tasks(modules, sets);
    (tasks[0].name, tasks[1].name) = ("first", "second");
    tasks
}

fn close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    assert!(
        found.iter().zip(expected).all(|(f, e)| (f - e).abs() < 1e-6),
        "{found:?} {expected:?}"
    );
}

#[test]
fn a_module_as_a_change_gives_its_own_features() {
    let (vit, modules, sets) = setting();
    let device = Cpu::<f32>::poisoned();
    let judge = Judge::new(&device, &vit);
    for (module, task) in modules.iter().zip(named(&modules, &sets)) {
        let expected = Predictor::new(&device, &vit, Some(module), 8)
            .features(&task.set.normalised())
            .unwrap();
        let found = judge.features(&compose::sites(module), &task).unwrap();
        assert!(found.iter().zip(&expected).all(|(f, e)| (f - e).abs() < 1e-5));
        let base = judge.features(&Sites::new(), &task).unwrap();
        assert!(base.iter().zip(&expected).any(|(f, e)| (f - e).abs() > 1e-3));
    }
}

#[test]
fn the_first_contribution_stays_as_it_is_and_the_second_is_weighed_with_it() {
    let (vit, modules, sets) = setting();
    let device = Cpu::<f32>::poisoned();
    let (judge, tasks, parts) =
        (Judge::new(&device, &vit), named(&modules, &sets), parts(&modules));
    let settings = FusionSettings {
        level: fusion::Level::Whole,
        finder: fusion::Finder::CmaEs,
        evaluations: 10,
        seed: 0,
    };
    let (first, found) =
        judge.fuse(None, parts[0].clone(), &tasks[..1], &settings, |_| ()).unwrap();
    assert_eq!(found.weights, [1.0]);
    let mut asked = 0;
    let (both, found) =
        judge.fuse(Some(&first), parts[1].clone(), &tasks, &settings, |n| asked = n).unwrap();
    assert_eq!((asked, found.weights.len()), (10, 2));
    let objective = fusion::Objective::new(&device, &vit, &parts, &tasks, settings.level).unwrap();
    for (site, factors) in objective.sum(&found.weights) {
        assert_eq!(
            (&factors.a.data, &factors.b.data),
            (&both[&site].a.data, &both[&site].b.data),
            "{site}"
        );
    }
}

#[test]
fn a_mixture_is_the_weighted_sum_of_what_modules_say() {
    let (vit, modules, sets) = setting();
    let device = Cpu::<f32>::poisoned();
    let (judge, tasks, parts) =
        (Judge::new(&device, &vit), named(&modules, &sets), parts(&modules));
    let settings = MixtureSettings { per_task: true, shares: true, evaluations: 0, seed: 0 };
    let (alone, _) =
        judge.mix(&Default::default(), &parts[..1], &tasks[..1], &settings, false).unwrap();
    assert_eq!(alone["first"], [1.0]);
    let (weights, _) = judge.mix(&alone, &parts, &tasks, &settings, false).unwrap();
    assert!(weights.values().all(|w| w.len() == 2 && (w.iter().sum::<f64>() - 1.0).abs() < 1e-9));
    let heads = tasks.iter().map(|t| (t.name.to_owned(), t.head.clone())).collect();
    let model = Model {
        heads,
        composition: Composition::Mixture { modules: parts.clone(), weights: weights.clone() },
        routing: None,
    };
    let rows: Vec<Vec<f32>> = parts.iter().map(|p| judge.features(p, &tasks[1]).unwrap()).collect();
    let features: Vec<&[f32]> = rows.iter().map(|r| &r[..vit.config.hidden]).collect();
    let found: Vec<Vec<f64>> = features.iter().map(|f| probabilities(tasks[1].head, f)).collect();
    let expected =
        |c: usize| weights["second"][0] * found[0][c] + weights["second"][1] * found[1][c];
    close(&model.answer(&features, Some("second")).probabilities, &[expected(0), expected(1)]);
}

#[test]
fn refitted_heads_are_those_of_the_merged_features() {
    let (vit, modules, sets) = setting();
    let device = Cpu::<f32>::poisoned();
    let (judge, tasks, parts) =
        (Judge::new(&device, &vit), named(&modules, &sets), parts(&modules));
    let heads = tasks.iter().map(|t| (t.name.to_owned(), t.head.clone())).collect();
    let mut model =
        Model { heads, composition: Composition::Fusion(parts[0].clone()), routing: None };
    let refitted = judge.refit(&model, &tasks).unwrap();
    let rows = judge.features(&parts[0], &tasks[1]).unwrap();
    let expected = linear_head(&rows, &sets[1].labels, &modules[1].head.classes).unwrap();
    assert_eq!(refitted["second"].weight.data, expected.weight.data);
    model.composition =
        Composition::Mixture { modules: parts.clone(), weights: Default::default() };
    assert!(judge.refit(&model, &tasks).unwrap_err().to_string().contains("under one network"));
}
