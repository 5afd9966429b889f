//! Condensation on a small transformer: gradients, both devices, the same bytes again and after a
//! stop, and what is refused.

use crate::base::Family;
use crate::base::tests::{FAMILIES, small};
use crate::data::{Dataset, Split};
use crate::device::cpu::Cpu;
use crate::gpu_variants::variants;
use crate::output::Places;
use crate::tape::Var;
use crate::train::tests::data;

use super::privacy::Counts;
use super::statistics::Layout;
use super::view::View;
use super::*;

fn settings() -> CondenseSettings {
    CondenseSettings {
        size: 8,
        per_class: 3,
        iterations: 40,
        batch: 4,
        learning_rate: 0.1,
        momentum: 0.9,
        views: 4,
        augment: true,
        blocks: 2,
        matching: Matching::Moments,
        target: Target::Cluster,
        perturbation: 0.3,
        ridge: 0.5,
        start: Start::Noise,
        labels: Labels::Hard,
        real_per_class: 512,
        seed: 5,
    }
}

fn private() -> CondenseSettings {
    CondenseSettings {
        matching: Matching::Feature,
        target: Target::Class,
        ridge: 0.0,
        ..settings()
    }
}

/// A budget so large that the noise hardly shows.
fn budget() -> Budget {
    Budget { epsilon: 100.0, delta: 0.1, least_groups: 2, counts: Counts::Public }
}

fn images(dataset: &Dataset, vit: &Vit) -> Images {
    Images::load(dataset, &dataset.indices(Split::Train), &vit.preprocessing_for(8).unwrap())
        .unwrap()
}

fn run(settings: &CondenseSettings, budget: Option<Budget>) -> Result<Condensed, Error> {
    let (_dir, dataset) = data();
    let vit = small(Family::Dinov2);
    let images = images(&dataset, &vit);
    let source = Source { vit: &vit, classes: &dataset.classes, images: &images, module: None };
    condense(&Cpu::<f32>::poisoned(), source, "t", settings, budget, None, &mut Unobserved)
}

/// Multiples of 2^-8, so that a step of 2^-12 is exact in f32.
fn numbers(len: usize, seed: usize) -> Vec<f32> {
    (0..len).map(|i| ((i * 37 + seed * 101) % 509) as f32 / 256.0 - 1.0).collect()
}

/// The share of a DoRA module in a view's network is one of its whole change, magnitudes and all.
#[test]
fn a_dora_module_takes_part_with_a_share_of_its_whole_change() {
    use crate::lora::tests::{dora, module};
    let (vit, device) = (small(Family::Dinov2), Cpu::<f64>::poisoned());
    let module = dora(&vit, module(&vit, "q,fc1", None));
    let sites = Ensemble::new(&vit, Some(&module), 0.0, 3).sites(&device, 1);
    assert_eq!(sites.len(), module.sites.len());
    let product = |a: &[f64], b: &[f64], inputs: usize| -> Vec<f64> {
        let rank = a.len() / inputs;
        let at = |i: usize| {
            (0..rank).map(|r| b[i / inputs * rank + r] * a[r * inputs + i % inputs]).sum()
        };
        (0..b.len() / rank * inputs).map(at).collect()
    };
    let wide = |values: &[f32]| values.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
    let mut shares = Vec::new();
    for (site, branch) in &sites {
        assert!(branch.magnitude.is_none());
        let inputs = branch.a.value.columns;
        let found = product(
            device.values(&branch.a.value.buffer),
            device.values(&branch.b.value.buffer),
            inputs,
        );
        let weight = &vit.tensors[&format!("{site}.weight")];
        let whole = module.sites[site].scaled(module.scale()).added(weight);
        let whole = product(&wide(&whole.a.data), &wide(&whole.b.data), inputs);
        let square = |of: &[f64]| of.iter().map(|v| v * v).sum::<f64>();
        let share = found.iter().zip(&whole).map(|(f, w)| f * w).sum::<f64>() / square(&whole);
        let off: Vec<f64> = found.iter().zip(&whole).map(|(f, w)| f - share * w).collect();
        assert!(square(&off) < 1e-10 * square(&found), "{site}");
        shares.push(share);
    }
    assert!(
        shares.iter().all(|s| (s - shares[0]).abs() < 1e-6 && *s > 0.0 && *s < 1.0),
        "{shares:?}"
    );
}

/// Through augmentation, a perturbed transformer and the statistics of two blocks, in f64.
#[test]
fn the_gradient_to_every_pixel_is_that_of_central_differences_through_the_whole_base() {
    const STEP: f32 = 1.0 / 4096.0;
    let device = Cpu::<f64>::poisoned();
    for family in FAMILIES {
        let vit = small(family);
        let ensemble = Ensemble::new(&vit, None, 0.5, 3);
        let frozen = Weights::frozen(&device, &vit, 8);
        let network = Network { weights: &frozen, sites: ensemble.sites(&device, 1) };
        let layout = Layout::spread(&vit.config, 2);
        let pixels = numbers(2 * 192, 1);
        for view in [View::plain(), View::draw(1, 1, 8), View::draw(1, 2, 8)] {
            let see = |pixels: &[f32]| {
                let tape = Tape::new(&device);
                let leaf = tape.parameter(Tensor::new(&device, pixels, 2, 192));
                let results = network.see(&device, &tape, &leaf, &view, &layout);
                (tape, leaf, results)
            };
            let (tape, leaf, results) = see(&pixels);
            let weights: Vec<Vec<f32>> = results
                .iter()
                .enumerate()
                .map(|(i, r)| numbers(2 * r.value.columns, 7 + i))
                .collect();
            let total = |results: &[Var<Cpu<f64>>]| -> f64 {
                let weigh = |(r, w): (&Var<Cpu<f64>>, &Vec<f32>)| {
                    device
                        .values(&r.value.buffer)
                        .iter()
                        .zip(w)
                        .map(|(v, w)| v * f64::from(*w))
                        .sum::<f64>()
                };
                results.iter().zip(&weights).map(weigh).sum()
            };
            let seeds: Vec<_> = weights.iter().map(|w| device.upload(w)).collect();
            let gradients = tape.backward_from(results.iter().zip(seeds));
            let gradient = device.values(gradients.of(&leaf).unwrap());
            let mut seen = 0;
            for at in 0..pixels.len() {
                let shifted = |by: f32| {
                    let mut pixels = pixels.clone();
                    pixels[at] += by;
                    total(&see(&pixels).2)
                };
                let difference = (shifted(STEP) - shifted(-STEP)) / f64::from(2.0 * STEP);
                let error = (gradient[at] - difference).abs();
                assert!(
                    error < 1e-5 * (1.0 + difference.abs()),
                    "pixel {at}: {} against {difference}",
                    gradient[at]
                );
                seen += usize::from(difference.abs() > 1e-6);
            }
            assert!(seen > pixels.len() / 4, "hardly a pixel changes anything");
        }
    }
}

/// The loss of a set, and its gradient to the coefficients, on `device`.
fn look<D: Device + 'static>(device: &D, coefficients: &[f32]) -> (f64, Vec<f32>) {
    let (_dir, dataset) = data();
    let vit = small(Family::Dinov2);
    let images = images(&dataset, &vit);
    let settings = settings();
    let source = Source { vit: &vit, classes: &dataset.classes, images: &images, module: None };
    // The bank is the same for all devices: k-means may not turn on a last digit.
    let bank = Bank::measure(&Cpu::<f64>::poisoned(), source, &settings, &mut Unobserved).unwrap();
    let members: Vec<usize> = (0..bank.labels().len()).collect();
    let plan = bank.plan(&settings, &members, &dataset.classes).unwrap();
    let canvas = Canvas::of(
        8,
        &members.iter().map(|&m| (images.pixels(m), bank.labels()[m])).collect::<Vec<_>>(),
    );
    let frozen = Weights::frozen(device, &vit, 8);
    let ensemble = Ensemble::new(&vit, None, settings.perturbation, settings.seed);
    let network = Network { weights: &frozen, sites: ensemble.sites(device, 2) };
    let (goal, parts) = (&plan.goals[2], settings.parts());
    let look = Look { device, network: &network, bank: &bank, view: 2, goal, parts, classes: 2 };
    look.gradient(&canvas, &vit, coefficients, &plan.of[..4], &[0, 0, 0, 1]).unwrap()
}

#[test]
fn the_gradient_to_the_coefficients_is_that_of_the_loss_on_every_device() {
    let coefficients: Vec<f32> = numbers(4 * 192, 9);
    let exact = Cpu::<f64>::poisoned();
    let (loss, gradient) = look(&exact, &coefficients);
    let largest = gradient.iter().fold(0.0f32, |m, g| m.max(g.abs()));
    for at in (0..coefficients.len()).step_by(23) {
        let shifted = |by: f32| {
            let mut coefficients = coefficients.clone();
            coefficients[at] += by;
            look(&exact, &coefficients).0
        };
        let difference = (shifted(1e-2) - shifted(-1e-2)) / 2e-2;
        let error = (f64::from(gradient[at]) - difference).abs();
        assert!(error < 5e-3 * f64::from(largest), "{at}: {} against {difference}", gradient[at]);
    }
    let agree = |name: &str, (found_loss, found): (f64, Vec<f32>), limit: f64| {
        assert!(
            (found_loss / loss - 1.0).abs() < limit,
            "{name}: loss {found_loss} against {loss}"
        );
        for (found, right) in found.iter().zip(&gradient) {
            assert!(
                f64::from((found - right).abs()) < limit * f64::from(largest),
                "{name}: {found} against {right}"
            );
        }
    };
    agree("cpu", look(&Cpu::<f32>::poisoned(), &coefficients), 1e-3);
    for variant in variants().iter().filter(|v| !v.half) {
        agree(&variant.name, look(&variant.gpu, &coefficients), 1e-3);
    }
}

#[test]
fn the_loss_falls_and_the_same_seed_gives_the_same_set() {
    let set = run(&settings(), None).unwrap();
    let [first, last] = set.record.loss;
    assert!(last < 0.9 * first, "{first} to {last}");
    assert_eq!((set.len(), set.classes()), (6, vec![0, 0, 0, 1, 1, 1]));
    assert_eq!(set.images, run(&settings(), None).unwrap().images);
    assert_ne!(set.images, run(&CondenseSettings { seed: 6, ..settings() }, None).unwrap().images);
    assert!(set.record.privacy.is_none() && set.record.real_images.is_some());
}

#[test]
fn a_stopped_condensation_goes_on_as_if_there_had_been_no_stop() {
    struct Stopper {
        at: usize,
        done: usize,
        dir: tempfile::TempDir,
    }
    impl Observer for Stopper {
        fn step(&mut self, stage: &'static str, done: usize, _: usize, _: Option<f64>) {
            self.done = if stage == "condensing" { done } else { 0 };
        }
        fn wants_checkpoint(&mut self) -> bool {
            self.done == self.at
        }
        fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), Error> {
            checkpoint
                .save(&Places::default().updated("--out", &self.dir.path().join("c"))?, "f")?;
            match checkpoint.iteration {
                0 => Ok(()),
                _ => Err(Error::Interrupted { hint: String::new() }),
            }
        }
    }
    let (_dir, dataset) = data();
    let vit = small(Family::Vit);
    let images = images(&dataset, &vit);
    let source = Source { vit: &vit, classes: &dataset.classes, images: &images, module: None };
    let device = Cpu::<f32>::poisoned();
    for (settings, budget) in [(settings(), None), (private(), Some(budget()))] {
        let mut stopper = Stopper { at: 17, done: 0, dir: tempfile::tempdir().unwrap() };
        let stopped = condense(&device, source, "t", &settings, budget, None, &mut stopper);
        assert!(matches!(stopped, Err(Error::Interrupted { .. })));
        let path = stopper.dir.path().join("c");
        let open = || Checkpoint::open(&path, &settings, "f").unwrap();
        let rest = || {
            condense(&device, source, "t", &settings, budget, Some(open()), &mut Unobserved)
                .unwrap()
        };
        let (one, two) = (rest(), rest());
        assert_eq!((&one.images, &one.record), (&two.images, &two.record));
        if budget.is_none() {
            let whole =
                condense(&device, source, "t", &settings, budget, None, &mut Unobserved).unwrap();
            assert_eq!((&one.images, &one.record), (&whole.images, &whole.record));
        }
        let mut short = open();
        short.coefficients.truncate(100);
        let damaged =
            condense(&device, source, "t", &settings, budget, Some(short), &mut Unobserved);
        assert!(damaged.unwrap_err().to_string().contains("damaged"));
        if budget.is_some() {
            let mut narrow = open();
            narrow.release.as_mut().unwrap().means[1].pop();
            let damaged =
                condense(&device, source, "t", &settings, budget, Some(narrow), &mut Unobserved);
            assert!(damaged.unwrap_err().to_string().contains("damaged"));
        }
        let other = CondenseSettings { iterations: 41, ..settings.clone() };
        assert!(
            Checkpoint::open(&path, &other, "f").err().unwrap().to_string().contains("settings")
        );
        assert!(
            Checkpoint::open(&path, &settings, "g").err().unwrap().to_string().contains("data")
        );
    }
}

#[test]
fn every_setting_condenses() {
    let cases = [
        CondenseSettings { matching: Matching::Feature, ..settings() },
        CondenseSettings { matching: Matching::Mean, target: Target::Class, ..settings() },
        CondenseSettings { augment: false, perturbation: 0.0, ..settings() },
        CondenseSettings { per_class: 1, ridge: 0.0, batch: 100, ..settings() },
        CondenseSettings { per_class: 40, batch: 80, ..settings() },
    ];
    for case in cases {
        let set = run(&case, None).unwrap();
        assert_eq!(set.len(), 2 * case.per_class);
        assert!(set.images.iter().all(|v| (0.0..=1.0).contains(v)));
        assert!(set.record.loss[1] < set.record.loss[0], "{case:?}: {:?}", set.record.loss);
    }
}

/// After no step to speak of, a start from real images is still these images; from noise it is none
/// of them.
#[test]
fn real_images_are_a_start_only_where_asked() {
    let (_dir, dataset) = data();
    let vit = small(Family::Dinov2);
    let real = images(&dataset, &vit);
    for (start, close) in [(Start::Real, true), (Start::Noise, false)] {
        let set = run(
            &CondenseSettings { start, iterations: 1, learning_rate: 1e-6, ..settings() },
            None,
        )
        .unwrap();
        assert_eq!(set.record.start, start);
        for i in 0..set.len() {
            let distance = |m: usize| {
                let pairs = set.rgb(i).into_iter().zip(real.pixels(m).to_vec());
                pairs.map(|(a, b)| f64::from(a.abs_diff(b))).sum::<f64>() / 192.0
            };
            let nearest = (0..real.len()).map(distance).fold(f64::INFINITY, f64::min);
            assert_eq!(nearest < 3.0, close, "{start:?} {i}: {nearest}");
        }
    }
}

#[test]
fn a_private_set_says_what_it_covers_and_reads_patients_once() {
    let set = run(&private(), Some(budget())).unwrap();
    assert!(set.record.loss[1] < set.record.loss[0]);
    let accounting: Accounting = serde_json::from_value(set.record.privacy.unwrap()).unwrap();
    assert_eq!((accounting.epsilon, accounting.delta), (100.0, 0.1));
    assert_eq!(accounting.released_values, 2 * 8);
    assert!(
        accounting.statement.contains("group (patient)")
            && accounting.statement.contains("not a module")
    );
    assert!(set.record.real_images.is_none() && set.record.real_groups.is_none());
    let second = [
        CondenseSettings { target: Target::Cluster, ..private() },
        CondenseSettings { ridge: 1.0, ..private() },
        CondenseSettings { start: Start::Real, ..private() },
    ];
    for settings in second {
        let sentence = run(&settings, Some(budget())).unwrap_err().to_string();
        assert!(sentence.contains("read once"), "{sentence}");
    }
    let few = Budget { least_groups: 20, ..budget() };
    let sentence = run(&private(), Some(few)).unwrap_err().to_string();
    assert!(sentence.contains("groups") && sentence.contains("20"), "{sentence}");
}

#[test]
fn images_that_cannot_be_condensed_are_refused() {
    let vit = small(Family::Dinov2);
    let refused = |pixels: &dyn Fn(usize, usize) -> u8,
                   labels: &[usize],
                   settings: CondenseSettings| {
        let dir = tempfile::tempdir().unwrap();
        let mut table = String::from("path,label,group,split\n");
        for (i, label) in labels.iter().enumerate() {
            let bytes: Vec<u8> = (0..192).map(|p| pixels(i, p)).collect();
            image::save_buffer(
                dir.path().join(format!("{i}.png")),
                &bytes,
                8,
                8,
                image::ExtendedColorType::Rgb8,
            )
            .unwrap();
            table += &format!("{i}.png,c{label},{i},train\n");
        }
        for label in 0..2 {
            let bytes: Vec<u8> = (0..192).map(|p| (p * 3 + label) as u8).collect();
            image::save_buffer(
                dir.path().join(format!("t{label}.png")),
                &bytes,
                8,
                8,
                image::ExtendedColorType::Rgb8,
            )
            .unwrap();
            table += &format!("t{label}.png,c{label},t{label},test\n");
        }
        std::fs::write(dir.path().join("splits.csv"), table).unwrap();
        let dataset = Dataset::open(dir.path()).unwrap();
        let images = images(&dataset, &vit);
        let source = Source { vit: &vit, classes: &dataset.classes, images: &images, module: None };
        let result =
            condense(&Cpu::<f32>::poisoned(), source, "t", &settings, None, None, &mut Unobserved);
        result.expect_err("it is refused").to_string()
    };
    let varied = |i: usize, p: usize| ((i * 31 + p * 7) % 200) as u8;
    assert!(refused(&varied, &[0, 0, 0, 1], settings()).contains("class c1 has 1 image"));
    assert!(refused(&|i, _| 10 * i as u8, &[0, 0, 1, 1], settings()).contains("of one colour"));
    assert!(refused(&|_, p| p as u8, &[0, 0, 1, 1], settings()).contains("the same picture"));
    assert!(
        refused(&varied, &[0, 0, 1, 1], CondenseSettings { batch: 0, ..settings() })
            .contains("batch is 0")
    );
    assert!(
        refused(&varied, &[0, 0, 1, 1], CondenseSettings { ridge: f64::NAN, ..settings() })
            .contains("ridge is NaN")
    );
    let soft = CondenseSettings { labels: Labels::Soft, ..settings() };
    assert!(refused(&varied, &[0, 0, 1, 1], soft).contains("--module"));
}
