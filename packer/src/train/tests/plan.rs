//! What recomputation changes (nothing but memory), what the count says and what a processor really
//! takes, and bounds.

use medforge_runtime::tensors::Dtype;

use crate::base::tests::FAMILIES;
use crate::device::gpu::{Gpu, Options};
use crate::device::meter::Meter;
use crate::gpu_variants::variants;
use crate::train::plan::{base_bytes, measure};

use super::*;

const ALL: [&str; 3] = ["q,v", "q,k,v,o,fc1,fc2", "q,k,v,o,fc1,fc2,projection"];

fn methods(family: Family) -> Vec<Method> {
    let targets = if family == Family::Clip { &ALL[..] } else { &ALL[..2] };
    let lora = |t: &&str| Method::Lora {
        rank: 2,
        alpha: 4.0,
        targets: (*t).into(),
        last_layers: None,
        dora: false,
        dropout: 0.0,
    };
    let last = Method::Lora {
        rank: 2,
        alpha: 4.0,
        targets: "v".into(),
        last_layers: Some(1),
        dora: true,
        dropout: 0.3,
    };
    targets.iter().map(lora).chain([last, Method::Full]).collect()
}

/// The gradients of a first batch, then the weights after ten steps, downloaded.
fn ten_steps<D: Device + 'static>(
    device: &D,
    vit: &Vit,
    settings: &TrainSettings,
    cut: Cut,
) -> Vec<Vec<f32>> {
    let mut run = Training::new(device, vit, 2, None, settings).unwrap();
    run.cut(cut);
    let labels = [0, 1, 0, 1, 1];
    let pixels: Vec<f32> = (0..5 * 192).map(|i| (i as f32 * 0.37).sin()).collect();
    // B and the head start at zero, where most gradients vanish.
    run.step(&pixels, &labels, 1e-2, 1);
    let (loss, gradients) = run.gradients(&pixels[..2 * 192], &labels[..2], 2, 0);
    let mut found = vec![device.download(&loss).unwrap()];
    found.extend(gradients.values().map(|g| device.download(g).unwrap()));
    for step in 2..=10 {
        let loss = run.step(&pixels, &labels, 1e-2, step);
        found.push(device.download(&loss).unwrap());
    }
    found.extend(run.parameters.weights(device).unwrap().into_values().map(|t| t.data));
    found
}

fn bits(values: Vec<Vec<f32>>) -> Vec<Vec<u32>> {
    values.into_iter().map(|v| v.into_iter().map(f32::to_bits).collect()).collect()
}

/// `vit` with its weights rounded to f16, and stored so or in f32.
fn rounded(mut vit: Vit, stored: Dtype) -> Vit {
    for tensor in vit.tensors.values_mut() {
        let mut read = tensor.read();
        read.dtype = stored;
        read.data.iter_mut().for_each(|v| *v = half::f16::from_f32(*v).to_f32());
        *tensor = read.into();
    }
    vit
}

#[test]
fn weights_stored_in_sixteen_bits_train_to_the_same_bits() {
    for family in FAMILIES {
        let [wide, narrow] = [Dtype::F32, Dtype::F16].map(|t| rounded(small(family), t));
        assert_eq!(base_bytes(&wide), 2 * base_bytes(&narrow));
        assert_eq!(wide.digest(), narrow.digest());
        for method in methods(family) {
            let settings = settings(method.clone());
            for recompute in [false, true] {
                let [a, b] = [&wide, &narrow].map(|vit| {
                    let device = Cpu::<f32>::poisoned();
                    bits(ten_steps(&device, vit, &settings, Cut { per_pass: 5, recompute }))
                });
                assert!(a == b, "{family:?}, {method:?}: the type changed a bit");
            }
        }
    }
}

fn same_bits<D: Device + 'static>(device: &D, name: &str) {
    for family in FAMILIES {
        let vit = small(family);
        for method in methods(family) {
            let settings = settings(method.clone());
            for per_pass in [5, 2] {
                let [plain, again] = [false, true].map(|recompute| {
                    bits(ten_steps(device, &vit, &settings, Cut { per_pass, recompute }))
                });
                assert!(
                    plain.concat().iter().all(|v| f32::from_bits(*v).is_finite()),
                    "{name}, {method:?}"
                );
                assert!(
                    plain == again,
                    "{name}, {family:?}, {method:?}: recomputation changed a bit"
                );
            }
        }
    }
}

#[test]
fn recomputed_blocks_give_the_same_bits() {
    same_bits(&Cpu::<f32>::poisoned(), "cpu");
}

#[test]
fn recomputed_blocks_give_the_same_bits_on_a_gpu() {
    for variant in variants().iter().take(2) {
        same_bits(&variant.gpu, &variant.name);
    }
}

const COUNTS: ImageCounts = ImageCounts { classes: 2, training: 13, validation: 7 };

/// The count is of the very buffers that the processor asks for, whole and cut, with and without a
/// bound.
#[test]
fn the_count_is_what_the_processor_takes() {
    let stored = [Dtype::F32, Dtype::F16];
    for (family, dtype) in FAMILIES.into_iter().flat_map(|f| stored.map(|dtype| (f, dtype))) {
        let vit = rounded(small(family), dtype);
        for method in methods(family) {
            let settings = settings(method.clone());
            for cut in [(5, false), (2, false), (5, true), (1, true)] {
                let cut = Cut { per_pass: cut.0, recompute: cut.1 };
                let meter = Meter::new(&Cpu::<f32>::new());
                let mut run = Training::new(&meter, &vit, 2, None, &settings).unwrap();
                run.cut(cut);
                measure(&mut run, &settings, COUNTS);
                let cpu = Cpu::<f32>::new();
                let mut run = Training::new(&cpu, &vit, 2, None, &settings).unwrap();
                run.cut(cut);
                measure(&mut run, &settings, COUNTS);
                assert_eq!(meter.held().1, cpu.peak() as u64, "{family:?}, {method:?}, {cut:?}");
            }
        }
    }
}

#[test]
fn a_bound_is_met_by_the_first_cut_that_does() {
    let vit = small(Family::Dinov2);
    let settings = settings(lora());
    let plan = |bound| Plan::new(&Cpu::<f32>::new(), &vit, &settings, COUNTS, bound);
    let whole = plan(None).unwrap();
    assert_eq!(whole.cut, Cut { per_pass: 5, recompute: false });
    assert_eq!(plan(Some(whole.memory.total())).unwrap().cut, whole.cut);
    let Err(Error::Memory { least, .. }) = plan(Some(1000)) else { panic!("1000 bytes cannot do") };
    assert!(plan(Some(least - 1)).is_err());
    let mut seen: Vec<Cut> = Vec::new();
    for bound in (least..=whole.memory.total()).step_by(64) {
        let cpu = Cpu::<f32>::new();
        let plan = Plan::new(&cpu, &vit, &settings, COUNTS, Some(bound)).unwrap();
        assert!(plan.memory.total() <= bound);
        if seen.last() != Some(&plan.cut) {
            seen.push(plan.cut);
        }
        // What the processor then really takes of what the base's copy, images, checkpoint and
        // program leave.
        let Memory { images, checkpoint, program, .. } = plan.memory;
        let left = bound - base_bytes(&vit) - images - checkpoint - program;
        let mut run = Training::new(&cpu, &vit, 2, None, &settings).unwrap();
        run.cut(plan.cut);
        measure(&mut run, &settings, COUNTS);
        assert!(cpu.peak() as u64 <= left, "{} of {left}", cpu.peak());
    }
    assert_eq!(seen.last(), Some(&whole.cut));
    assert!(
        seen.iter().any(|cut| cut.recompute) && seen.iter().any(|c| !c.recompute && c.per_pass < 5),
        "{seen:?}"
    );
}

/// A GPU takes little more than is counted, and a bound on it is met.
#[test]
fn the_count_is_enough_for_a_gpu() {
    let dir = tempfile::tempdir().unwrap();
    let config = r#"{"model_type":"vit","hidden_size":64,"num_hidden_layers":4,
        "num_attention_heads":4,
        "intermediate_size":128,"image_size":32,"patch_size":4}"#;
    std::fs::write(dir.path().join("config.json"), config).unwrap();
    let processor =
        r#"{"size":{"height":32,"width":32},"image_mean":[0.5,0.5,0.5],"image_std":[0.5,0.5,0.5]}"#;
    std::fs::write(dir.path().join("preprocessor_config.json"), processor).unwrap();
    let vit = Vit::random(dir.path(), 7).unwrap();
    let settings = TrainSettings { size: 32, batch: 8, ..settings(lora()) };
    for variant in variants().iter().filter(|v| !v.half).take(1) {
        let number = Some(variant.gpu.engine().adapter.index);
        for part in [0.0, 0.4, 0.8, 2.0] {
            let gpu = Gpu::open(Options { number, ..Options::default() }).unwrap();
            let Err(Error::Memory { least, .. }) =
                Plan::new(&gpu, &vit, &settings, COUNTS, Some(1))
            else {
                panic!()
            };
            let whole = Plan::new(&gpu, &vit, &settings, COUNTS, None).unwrap().memory.total();
            let bound = least + (part * (whole - least) as f64) as u64;
            let plan = Plan::new(&gpu, &vit, &settings, COUNTS, Some(bound)).unwrap();
            let mut run = Training::new(&gpu, &vit, 2, None, &settings).unwrap();
            run.cut(plan.cut);
            measure(&mut run, &settings, COUNTS);
            gpu.download(&gpu.zeros(1)).expect("nothing was too large for the bound");
            let Memory { images, checkpoint, program, .. } = plan.memory;
            let beside = base_bytes(&vit) + images + checkpoint + program;
            let (taken, counted) = (gpu.engine().memory().1, plan.memory.total() - beside);
            assert!(
                taken <= bound - beside,
                "{part}, {:?}: {taken} of {}",
                plan.cut,
                bound - beside
            );
            assert!(
                taken as f64 <= 1.05 * counted as f64,
                "{part}, {:?}: {taken}, counted {counted}",
                plan.cut
            );
        }
    }
}

#[test]
fn a_bounded_training_learns_as_an_unbounded_one() {
    let settings = settings(lora());
    let whole = run(&settings, true, None);
    let vit = small(Family::Dinov2);
    let loaded = Loaded::new(&vit, true);
    let with = |cut| {
        let device = Cpu::<f32>::poisoned();
        let job = Job::new(&device, &vit, loaded.examples(), &settings);
        Job { cut: Some(cut), ..job }.run(&mut Unobserved).unwrap()
    };
    let again = with(Cut { per_pass: 5, recompute: true });
    // The validation part goes through in other batches, whose sums are rounded in another order.
    let losses =
        |of: &Trained| of.epochs.iter().map(|epoch| epoch.loss.to_bits()).collect::<Vec<_>>();
    assert_eq!((losses(&whole), whole.kept_epoch), (losses(&again), again.kept_epoch));
    assert_eq!((&whole.head.weight, &whole.head.bias), (&again.head.weight, &again.head.bias));
    for (site, factors) in &whole.sites {
        assert_eq!(
            (&factors.a, &factors.b),
            (&again.sites[site].a, &again.sites[site].b),
            "{site}"
        );
    }
    let validations = |of: &Trained| {
        of.epochs.iter().map(|epoch| epoch.validation.unwrap().loss).collect::<Vec<_>>()
    };
    for (a, b) in validations(&whole).into_iter().zip(validations(&again)) {
        assert!((a / b - 1.0).abs() < 1e-5, "{a} and {b}");
    }
    let cut = with(Cut { per_pass: 2, recompute: true });
    for (a, b) in whole.epochs.iter().zip(&cut.epochs) {
        assert!((a.loss / b.loss - 1.0).abs() < 1e-4, "{} and {}", a.loss, b.loss);
    }
}
