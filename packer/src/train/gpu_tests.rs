//! Training on a GPU: what the processor does, in parts where memory is short, and a clear end
//! where the device fails.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use medforge_compute::Error as Compute;

use crate::Error;
use crate::base::tests::small;
use crate::base::{Family, VitConfig};
use crate::device::Device;
use crate::device::cpu::Cpu;
use crate::device::gpu::{Gpu, Options};
use crate::gpu_variants::variants;
use crate::output::Places;

use super::checkpoint::Progress;
use super::fits::{explain, per_pass};
use super::step::Training;
use super::tests::{Loaded, assert_same, dora, lora, run_on, settings};
use super::*;

/// The same weights, a few steps into a training: the loss and the gradient of every weight.
#[test]
fn one_step_agrees_with_the_processor() {
    let vit = small(Family::Dinov2);
    let pixels: Vec<f32> = (0..6 * 192).map(|i| (i as f32 * 0.37).sin()).collect();
    let labels = [0, 1, 0, 1, 1, 0];
    for method in [lora(), dora(), Method::Full] {
        let settings = settings(method.clone());
        let exact = Cpu::<f64>::poisoned();
        let mut run = Training::new(&exact, &vit, 2, None, &settings).unwrap();
        for step in 1..=3 {
            run.step(&pixels, &labels, 1e-2, step);
        }
        let reached =
            run.parameters.checkpoint(&exact, &settings, &Progress::default(), &None).unwrap();
        let (loss, gradients) = run.gradients(&pixels, &labels, 4, 0);
        for variant in variants() {
            if variant.half && method == Method::Full {
                continue;
            }
            let gpu = &variant.gpu;
            let mut other = Training::new(gpu, &vit, 2, None, &settings).unwrap();
            other.parameters.restore(gpu, &reached).unwrap();
            let (found_loss, found) = other.gradients(&pixels, &labels, 4, 0);
            let scale = gpu.download(&gpu.loss_gradient()).unwrap()[0];
            assert!(found.keys().eq(gradients.keys()));
            // Of f16's ten bits, sums of rounded activations keep about four.
            let limit = if variant.half { 0.1 } else { 1e-3 };
            let apart =
                gpu.download(&found_loss).unwrap()[0] / exact.download(&loss).unwrap()[0] - 1.0;
            assert!(
                apart.abs() < limit,
                "{}, {method:?}: the loss is {apart:e} apart",
                variant.name
            );
            for (name, gradient) in &gradients {
                let (right, found) =
                    (exact.download(gradient).unwrap(), gpu.download(&found[name]).unwrap());
                let largest = right.iter().fold(0.0f32, |m, x| m.max(x.abs())).max(1e-6);
                for (right, found) in right.iter().zip(found) {
                    let apart = (found / scale - right).abs() / largest;
                    assert!(apart < limit, "{}, {method:?}, {name}: {apart:e} apart", variant.name);
                }
            }
        }
    }
}

/// Weights are not compared here: AdamW divides by the size of a gradient, so where one is nothing
/// but rounding, its steps are too.
#[test]
fn a_run_of_twenty_steps_agrees_with_the_processor() {
    for method in [lora(), Method::Full] {
        let settings =
            TrainSettings { batch: 6, epochs: 5, learning_rate: 1e-2, ..settings(method.clone()) };
        let exact = run_on(&Cpu::<f64>::poisoned(), &settings, true, None).unwrap();
        assert!(
            exact.epochs[4].loss < 0.99 * exact.epochs[0].loss,
            "{method:?}: nothing was learnt"
        );
        for variant in variants() {
            if variant.half && method == Method::Full {
                continue;
            }
            let found = run_on(&variant.gpu, &settings, true, None).unwrap();
            let limit = if variant.half { 2e-2 } else { 1e-3 };
            let losses = |t: &Trained| -> Vec<f64> {
                t.epochs.iter().flat_map(|e| [e.loss, e.validation.unwrap().loss]).collect()
            };
            for (found, exact) in losses(&found).into_iter().zip(losses(&exact)) {
                let apart = (found / exact - 1.0).abs();
                assert!(apart < limit, "{}, {method:?}: a loss is {apart:e} apart", variant.name);
            }
        }
    }
    what_was_compiled_is_accepted_by_tint();
}

/// Tint is stricter than naga; it reads the sources that trainings really used, where that program
/// is installed.
fn what_was_compiled_is_accepted_by_tint() {
    if Command::new("tint")
        .arg("--help")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_err()
    {
        return;
    }
    let file = tempfile::Builder::new().suffix(".wgsl").tempfile().unwrap();
    let sources: BTreeMap<String, String> =
        variants().iter().flat_map(|v| v.gpu.engine().sources()).collect();
    for (name, source) in sources {
        let enable = if source.contains("subgroup") { "enable subgroups;\n" } else { "" };
        std::fs::write(file.path(), format!("{enable}{source}")).unwrap();
        let output =
            Command::new("tint").args(["--format", "wgsl"]).arg(file.path()).output().unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn a_stopped_run_on_a_gpu_ends_with_the_same_bytes() {
    for variant in variants().iter().filter(|v| !v.half).take(1) {
        let settings = settings(lora());
        let whole = run_on(&variant.gpu, &settings, true, None).unwrap();
        for stop in [1, 7] {
            assert_same(&whole, &run_on(&variant.gpu, &settings, true, Some(stop)).unwrap());
        }
    }
}

#[test]
fn a_batch_that_does_not_fit_is_split() {
    let settings = TrainSettings { batch: 8, ..settings(lora()) };
    let vit = small(Family::Dinov2);
    let pixels: Vec<f32> = (0..8 * 192).map(|i| (i as f32 * 0.37).sin()).collect();
    let labels = [0, 1, 0, 1, 1, 1, 0, 0];
    for variant in variants().iter().filter(|v| !v.half).take(1) {
        let number = Some(variant.gpu.engine().adapter.index);
        let bytes = 4 * vit.config.training_values(8, true) as u64;
        let weights: u64 = vit.tensors.values().map(|t| 4 * t.values.len() as u64).sum();
        let small =
            Gpu::open(Options { number, budget: Some(weights + 3 * bytes), ..Options::default() })
                .unwrap();
        assert!(per_pass(&small, &vit.config, &settings) < 8);
        assert_eq!(Training::new(&variant.gpu, &vit, 2, None, &settings).unwrap().per_pass, 8);
        let many_heads = VitConfig { heads: 20_000, ..vit.config.clone() };
        assert_eq!(per_pass(&variant.gpu, &many_heads, &settings), 3);
        for parts in [1, 3, 7] {
            let mut runs = [parts, 8].map(|per_pass| {
                let mut run = Training::new(&variant.gpu, &vit, 2, None, &settings).unwrap();
                run.per_pass = per_pass;
                run
            });
            for step in 1..=3 {
                let losses = runs.each_mut().map(|run| {
                    let loss = run.step(&pixels, &labels, 1e-3, step);
                    variant.gpu.download(&loss).unwrap()[0]
                });
                assert!(
                    (losses[0] / losses[1] - 1.0).abs() < 1e-4,
                    "{parts} at a time, step {step}: {losses:?}"
                );
            }
        }
    }
}

#[test]
fn full_memory_names_the_batch_that_fits() {
    let settings = TrainSettings { batch: 24, ..settings(lora()) };
    let vit = small(Family::Dinov2);
    let weights: u64 = vit.tensors.values().map(|t| 4 * t.values.len() as u64).sum();
    let bytes = 4 * vit.config.training_values(8, true) as u64;
    for variant in variants().iter().filter(|v| !v.half).take(1) {
        let number = Some(variant.gpu.engine().adapter.index);
        // Too little even for the weights: nothing can be recommended but another device.
        let tiny =
            Gpu::open(Options { number, budget: Some(2_000), ..Options::default() }).unwrap();
        let error = run_on(&tiny, &settings, false, None).err().expect("it cannot fit").to_string();
        assert!(error.contains("memory is full"), "{error}");
        // Enough for a few images, as where a driver does not tell how much there is and nothing is
        // split ahead.
        let budget = Some(2 * weights + 4 * bytes);
        let gpu = Gpu::open(Options { number, budget, ..Options::default() }).unwrap();
        let mut run = Training::new(&gpu, &vit, 2, None, &settings).unwrap();
        run.per_pass = 24;
        let loss = run.step(&vec![0.5; 24 * 192], &[1; 24], 1e-3, 1);
        let full = gpu.download(&loss).expect_err("it cannot fit");
        let error = explain(full.into(), &gpu, &vit, &settings);
        let Error::GpuBatch { fits, .. } = error else { panic!("{error}") };
        assert!((1..24).contains(&fits), "{error}");
        assert!(error.to_string().contains(&format!("about {fits} images fit")), "{error}");
    }
}

/// A driver that resets in the middle of a training: an error, and the last checkpoint stays what
/// it was.
#[test]
fn a_lost_device_is_an_error_and_the_checkpoint_stays() {
    struct Loser {
        gpu: Gpu,
        path: std::path::PathBuf,
        saved: usize,
    }
    impl Observer for Loser {
        fn step(&mut self, step: &Step) {
            if step.done == 6 {
                self.gpu.engine().destroy();
            }
        }
        fn wants_checkpoint(&mut self) -> bool {
            true
        }
        fn checkpoint(&mut self, checkpoint: &dyn Resumable) -> Result<(), Error> {
            self.saved += 1;
            checkpoint.save(&Places::default().updated("--out", &self.path)?, "f")
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let vit = small(Family::Dinov2);
    let loaded = Loaded::new(&vit, false);
    let examples = loaded.examples();
    for variant in variants().iter().filter(|v| !v.half).take(1) {
        let number = Some(variant.gpu.engine().adapter.index);
        let gpu = Gpu::open(Options { number, ..Options::default() }).unwrap();
        let path = dir.path().join("checkpoint");
        let settings = settings(lora());
        let mut loser = Loser { gpu: gpu.clone(), path: path.clone(), saved: 0 };
        let error = Job::new(&gpu, &vit, examples, &settings)
            .run(&mut loser)
            .err()
            .expect("the device is gone");
        let Error::Compute(broken) = error else { panic!("{error}") };
        let gone = matches!(broken, Compute::GpuLost { .. } | Compute::GpuInvalid { .. });
        assert!(gone, "{broken}");
        assert_eq!(loser.saved, 6);
        let kept = Checkpoint::open(&path, &settings, "f").unwrap();
        assert_eq!(kept.step(), 5);
        // Another device goes on from it.
        let device = Cpu::<f32>::new();
        let job = Job::new(&device, &vit, examples, &settings);
        let trained = Job { resume: Some(kept), ..job }.run(&mut Unobserved).unwrap();
        assert_eq!(trained.epochs.len(), settings.epochs);
    }
}
