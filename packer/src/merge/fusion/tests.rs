//! The loss of weights and its gradient on a small transformer, and both ways to search.

use super::descent::descend;
use super::objective::{Objective, PENALTY};
use super::search::START;
use super::*;
use crate::data::Condensed;
use crate::device::cpu::Cpu;
use crate::gpu_variants::variants;
use crate::merge::cma_es;
use crate::merge::composition_tests::{parts, setting, tasks};

#[test]
fn the_gradient_is_that_of_central_differences_on_every_device() {
    let (vit, modules, sets) = setting();
    let (parts, tasks) = (parts(&modules), tasks(&modules, &sets));
    for level in [Level::Whole, Level::Site] {
        let exact = Cpu::<f64>::poisoned();
        let objective = Objective::new(&exact, &vit, &parts, &tasks, level).unwrap();
        let weights: Vec<f64> = (0..objective.weights()).map(|i| 0.7 - 0.3 * i as f64).collect();
        let (loss, gradient) = objective.gradient(&weights).unwrap();
        assert!((loss - objective.loss(&weights).unwrap()).abs() < 1e-12);
        let mut moved = 0;
        for i in 0..weights.len() {
            let shifted = |by: f64| {
                let mut weights = weights.clone();
                weights[i] += by;
                objective.loss(&weights).unwrap()
            };
            let difference = (shifted(1e-3) - shifted(-1e-3)) / 2e-3;
            let error = (gradient[i] - difference).abs();
            assert!(
                error < 1e-4 * (1.0 + difference.abs()),
                "weight {i}: {} against {difference}",
                gradient[i]
            );
            let penalty = PENALTY * weights[i].signum() / weights.len() as f64;
            moved += usize::from((difference - penalty).abs() > 1e-5);
        }
        assert!(moved * 2 > weights.len(), "hardly a weight changes anything");
        let close = |(found, gradients): (f64, Vec<f64>), tolerance: f64| {
            assert!((found - loss).abs() < tolerance, "{found} {loss}");
            for (f, e) in gradients.iter().zip(&gradient) {
                assert!((f - e).abs() < tolerance * (1.0 + e.abs()), "{f} {e}");
            }
        };
        let cpu = Cpu::<f32>::poisoned();
        close(
            Objective::new(&cpu, &vit, &parts, &tasks, level).unwrap().gradient(&weights).unwrap(),
            1e-4,
        );
        for variant in variants().iter().filter(|v| !v.half) {
            close(
                Objective::new(&variant.gpu, &vit, &parts, &tasks, level)
                    .unwrap()
                    .gradient(&weights)
                    .unwrap(),
                1e-3,
            );
        }
    }
}

#[test]
fn a_part_with_weight_one_is_itself_and_both_finders_go_down() {
    let (vit, modules, sets) = setting();
    let (parts, tasks) = (parts(&modules), tasks(&modules, &sets));
    let device = Cpu::<f32>::poisoned();
    let objective = Objective::new(&device, &vit, &parts[..1], &tasks, Level::Whole).unwrap();
    for (site, factors) in objective.sum(&[1.0]) {
        assert_eq!(
            (factors.a.data, factors.b.data),
            (parts[0][&site].a.data.clone(), parts[0][&site].b.data.clone())
        );
    }
    let objective = Objective::new(&device, &vit, &parts, &tasks, Level::Whole).unwrap();
    let start = objective.loss(&[START, START]).unwrap();
    let run = |finder, evaluations| {
        let settings = FusionSettings { level: Level::Whole, finder, evaluations, seed: 1 };
        search(&objective, &settings, |_| ()).unwrap()
    };
    let (free, steep) = (run(Finder::CmaEs, 60), run(Finder::Gradient, 12));
    assert!(free.loss < start && steep.loss < start, "{} {} {start}", free.loss, steep.loss);
    assert_eq!((free.trace.len(), free.trace[0].loss), (60, start));
    assert!(
        steep.trace.len() <= 12 && steep.loss < free.loss + 1e-3,
        "{} {}",
        steep.loss,
        free.loss
    );
    assert_eq!(free, run(Finder::CmaEs, 60));
}

#[test]
fn few_steps_find_the_bottom_of_a_valley_and_stay_in_the_box() {
    // A valley thirty times as steep across as along, its bottom inside the box and outside.
    for (bottom, expected) in [([0.2, -0.7], [0.2, -0.7]), ([0.4, 9.0], [0.4, 1.5])] {
        let ask = |w: &[f64]| {
            let (x, y) = (w[0] - bottom[0], w[1] - bottom[1]);
            Ok((15.0 * x * x + 0.5 * y * y, vec![30.0 * x, y]))
        };
        let tried = descend(vec![0.5, 0.5], 1.5, 15, ask).unwrap();
        assert!(tried.len() <= 15 && tried.iter().all(|t| t.at.iter().all(|w| w.abs() <= 1.5)));
        let best = cma_es::best(&tried);
        let off = (best.at[0] - expected[0]).abs().max((best.at[1] - expected[1]).abs());
        assert!(off < 1e-2, "{:?} {expected:?}", best.at);
    }
    let flat = descend(vec![0.5], 1.5, 9, |_| Ok((1.0, vec![0.0]))).unwrap();
    assert_eq!(flat.len(), 1);
}

#[test]
fn sets_that_do_not_fit_are_refused_by_name() {
    let (vit, modules, sets) = setting();
    let parts = parts(&modules);
    let refused = |change: &dyn Fn(&mut Condensed)| {
        let mut sets = sets.clone();
        change(&mut sets[1]);
        let tasks = tasks(&modules, &sets);
        let device = Cpu::<f32>::new();
        Objective::new(&device, &vit, &parts, &tasks, Level::Whole).err().unwrap().to_string()
    };
    assert!(refused(&|s| s.record.base_digest = "other".into()).contains("another base (other)"));
    assert!(
        refused(&|s| s.record.classes = vec!["x".into(), "y".into()]).contains("the classes x, y")
    );
    assert!(refused(&|s| s.record.preprocessing.mean[0] += 0.1).contains("in different ways"));
}
