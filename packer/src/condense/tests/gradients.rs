//! Gradients against central differences, on every device.

use super::*;

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
fn loss_and_gradient<D: Device + 'static>(device: &D, coefficients: &[f32]) -> (f64, Vec<f32>) {
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
    let (bank, network, goal) = (&bank, &network, &plan.goals[2]);
    let weights = settings.loss_weights();
    let under_view = ViewLoss { device, network, bank, view: 2, goal, weights, classes: 2 };
    under_view.gradient(&canvas, &vit, coefficients, &plan.of[..4], &[0, 0, 0, 1]).unwrap()
}

#[test]
fn the_gradient_to_the_coefficients_is_that_of_the_loss_on_every_device() {
    let coefficients: Vec<f32> = numbers(4 * 192, 9);
    let exact = Cpu::<f64>::poisoned();
    let (loss, gradient) = loss_and_gradient(&exact, &coefficients);
    let largest = gradient.iter().fold(0.0f32, |m, g| m.max(g.abs()));
    for at in (0..coefficients.len()).step_by(23) {
        let shifted = |by: f32| {
            let mut coefficients = coefficients.clone();
            coefficients[at] += by;
            loss_and_gradient(&exact, &coefficients).0
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
    agree("cpu", loss_and_gradient(&Cpu::<f32>::poisoned(), &coefficients), 1e-3);
    for variant in variants().iter().filter(|v| !v.half) {
        agree(&variant.name, loss_and_gradient(&variant.gpu, &coefficients), 1e-3);
    }
}
