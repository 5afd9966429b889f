//! Dataset condensation: a few synthetic images per class whose statistics under many networks and
//! views are those of the real images (distribution matching, Zhao & Bilen 2023), so that a head or
//! module trained on them does what it would on the real ones.
//!
//! What the real images look like under each view is measured once, in a bank; an iteration then
//! costs only the synthetic images. Refused: a class of one image, images that are all alike,
//! settings out of range; with a privacy budget whatever would read patients a second time (a
//! module, k-means, real colours, a start from real images, soft labels).

use crate::base::{Vit, Weights};
use crate::data::{Condensed, Images, Labels, Record, Start};
use crate::device::Device;
use crate::lora::Module;
use crate::predict::probabilities;
use crate::random::{Purpose, Stream};
use crate::tape::{Tape, Tensor};
use crate::{Error, interrupt};

mod bank;
mod canvas;
mod checkpoint;
mod cluster;
mod ensemble;
mod goal;
mod objective;
mod page;
mod palette;
mod pixels;
mod plan;
pub mod privacy;
mod ridge;
mod settings;
mod sheet;
mod spectrum;
mod statistics;
#[cfg(test)]
mod tests;
mod view;

pub use bank::Bank;
pub use checkpoint::Checkpoint;
pub use cluster::{k_means, medoids};
pub use page::page;
pub use settings::{CondenseSettings, Matching, Target};
pub use sheet::contact_sheet;

use canvas::Canvas;
use ensemble::Ensemble;
use goal::{Goal, LossWeights, SyntheticBatch};
use palette::Palette;
use pixels::{normalised, planar, to_rgb};
use plan::Plan;
use privacy::{Accounting, Budget};
use statistics::{Network, separate};

/// What is condensed.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    pub vit: &'a Vit,
    /// Class names, in the order of the images' labels.
    pub classes: &'a [String],
    pub images: &'a Images,
    pub module: Option<&'a Module>,
}

/// What a caller sees while it goes on.
pub trait Observer {
    /// After each step of a stage: what the stage is, steps done and to do, the loss where there is
    /// one.
    fn step(&mut self, _stage: &'static str, _done: usize, _total: usize, _loss: Option<f64>) {}
    /// When a checkpoint is due: before the first iteration, when [`Observer::wants_checkpoint`]
    /// says so, and on interruption.
    fn checkpoint(&mut self, _checkpoint: &Checkpoint) -> Result<(), Error> {
        Ok(())
    }
    /// Whether to make a checkpoint now.
    fn wants_checkpoint(&mut self) -> bool {
        false
    }
}

/// An observer that does not look.
pub struct Unobserved;
impl Observer for Unobserved {}

/// Condenses `source` for `task`; with `budget` privately. `resume` goes on from a checkpoint that
/// the same call made.
///
/// # Errors
/// What the module's head names; [`Error::Diverged`] if the loss stops being a number.
pub fn condense<D: Device + 'static>(
    device: &D,
    source: Source,
    task: &str,
    settings: &CondenseSettings,
    budget: Option<Budget>,
    resume: Option<Checkpoint>,
    observer: &mut dyn Observer,
) -> Result<Condensed, Error> {
    settings.check()?;
    check(source, settings, budget)?;
    let released = resume.as_ref().and_then(|c| c.release.clone());
    let mut bank = match budget {
        None => Bank::measure(device, source, settings, observer)?,
        Some(_) => Bank::private(device, source, settings, released.clone(), observer)?,
    };
    let members: Vec<usize> = (0..bank.labels().len()).collect();
    if let (Some(budget), None) = (budget, released) {
        bank.release(&members, source.classes, budget)?;
    }
    condense_from(device, source, task, settings, &bank, &members, resume, observer)
}

/// [`condense`] from a bank measured before with the same settings (but for the number of images,
/// iterations and the seed), reading only the real images `members` of it. For benchmarks and
/// audits, which condense many times.
#[allow(clippy::too_many_arguments)]
pub fn condense_from<D: Device + 'static>(
    device: &D,
    source: Source,
    task: &str,
    settings: &CondenseSettings,
    bank: &Bank,
    members: &[usize],
    resume: Option<Checkpoint>,
    observer: &mut dyn Observer,
) -> Result<Condensed, Error> {
    let Source { vit, classes, images, module } = source;
    let labels: Vec<usize> = (0..classes.len()).flat_map(|c| vec![c; settings.per_class]).collect();
    let plan = bank.plan(settings, members, classes)?;
    let canvas = match bank.released() {
        None => {
            let picture = |&m: &usize| (images.pixels(bank.images()[m]), bank.labels()[m]);
            Canvas::of(settings.size, &members.iter().map(picture).collect::<Vec<_>>())
        }
        Some(_) => Canvas::new(settings.size, Palette::neutral(vit.preprocessing.mean)),
    };
    let frozen = Weights::frozen(device, vit, settings.size);
    let mut state = match resume {
        Some(checkpoint) => checkpoint,
        None => {
            let coefficients = start(&canvas, settings, &plan, &labels, images, bank);
            let state = Checkpoint::begin(bank.released().cloned(), settings, coefficients);
            // A release is kept before it is used: a run that stops must not make a second one.
            observer.checkpoint(&state)?;
            state
        }
    };
    let each = canvas.values();
    if state.coefficients.len() != labels.len() * each {
        let what = format!(
            "the checkpoint is damaged: it holds {} values of images",
            state.coefficients.len()
        );
        return Err(Error::Checkpoint { what });
    }
    let ensemble = Ensemble::new(vit, module, settings.perturbation, settings.seed);
    let parts = settings.parts();
    let batch = settings.batch.min(labels.len());
    while state.iteration < settings.iterations {
        let stopped = interrupt::check();
        if stopped.is_err() || observer.wants_checkpoint() {
            observer.checkpoint(&state)?;
            stopped?;
        }
        let t = state.iteration;
        let view = bank.order(settings.seed, t);
        let chosen = chosen(labels.len(), batch, settings.seed, t);
        let pick = |from: &[usize]| chosen.iter().map(|&i| from[i]).collect::<Vec<_>>();
        let coefficients: Vec<f32> =
            chosen.iter().flat_map(|&i| &state.coefficients[i * each..][..each]).copied().collect();
        let network = Network { weights: &frozen, sites: ensemble.sites(device, view) };
        let goal = &plan.goals[view];
        let see =
            Look { device, network: &network, bank, view, goal, parts, classes: classes.len() };
        let (loss, gradient) =
            see.gradient(&canvas, vit, &coefficients, &pick(&plan.of), &pick(&labels))?;
        if !loss.is_finite() {
            return Err(Error::Diverged { step: t + 1, learning_rate: settings.learning_rate });
        }
        let rate = settings.learning_rate
            * 0.5
            * (1.0 + (std::f64::consts::PI * t as f64 / settings.iterations as f64).cos());
        state.descend(&chosen, &gradient, rate, settings.momentum);
        state.note(loss);
        observer.step("condensing", state.iteration, settings.iterations, Some(state.recent()));
    }
    let painted = canvas.paint(&state.coefficients);
    let record = record(source, task, settings, bank, members, [state.first, state.recent()])?;
    let soft = soft_labels(source, settings, bank, members, &plan, &labels);
    Ok(Condensed { record, images: painted, labels: soft }.rounded())
}

/// One look at synthetic images: through a view, under a network, with a goal.
struct Look<'a, D: Device> {
    device: &'a D,
    network: &'a Network<'a, D>,
    bank: &'a Bank,
    view: usize,
    goal: &'a Goal,
    parts: LossWeights,
    classes: usize,
}

impl<D: Device + 'static> Look<'_, D> {
    /// The loss of images given by their coefficients, and its gradient to these.
    fn gradient(
        &self,
        canvas: &Canvas,
        vit: &Vit,
        coefficients: &[f32],
        targets: &[usize],
        labels: &[usize],
    ) -> Result<(f64, Vec<f32>), Error> {
        let Look { device, network, bank, view, goal, parts, classes } = *self;
        let size = network.weights.image_size;
        let images = normalised(vit, &canvas.paint(coefficients), size);
        let tape = Tape::new(device);
        let leaf = tape.parameter(Tensor::new(device, &images, labels.len(), canvas.values()));
        let layout = bank.layout();
        let results = network.see(device, &tape, &leaf, bank.view(view), layout);
        let values = results
            .iter()
            .map(|r| device.download(&r.value.buffer))
            .collect::<Result<Vec<_>, _>>()?;
        let rows = statistics::interleave(&values, labels.len());
        let batch = SyntheticBatch { rows: &rows, targets, labels };
        let (loss, to_rows) = objective::loss(goal, &batch, layout, parts, classes);
        let seeds = separate(&to_rows, layout)
            .into_iter()
            .map(|part| device.upload(&part))
            .collect::<Vec<_>>();
        let gradients = tape.backward_from(results.iter().zip(seeds));
        let to_images = gradients.of(&leaf).expect("every statistic depends on the pixels");
        let mut to_images = device.download(to_images)?;
        to_rgb(vit, &mut to_images, size);
        Ok((loss, canvas.pull_back(coefficients, &to_images)))
    }
}

/// The images of iteration `t`: `batch` of `n`, every image once in each round of a random order.
fn chosen(n: usize, batch: usize, seed: u64, t: usize) -> Vec<usize> {
    let mut chosen: Vec<usize> = (t * batch..(t + 1) * batch)
        .map(|place| {
            let mut order: Vec<usize> = (0..n).collect();
            Stream::at(seed, Purpose::Subset, (place / n) as u64, 1).shuffle(&mut order);
            order[place % n]
        })
        .collect();
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}

/// The first coefficients of every image.
fn start(
    canvas: &Canvas,
    settings: &CondenseSettings,
    plan: &Plan,
    labels: &[usize],
    images: &Images,
    bank: &Bank,
) -> Vec<f32> {
    let image = |i: usize| match settings.start {
        Start::Noise => canvas.noise(settings.seed, i, labels[i]),
        Start::Real => canvas.coefficients(&planar(images.pixels(bank.images()[plan.nearest[i]]))),
    };
    (0..labels.len()).flat_map(image).collect()
}

/// One-hot rows, or the module's mean probabilities over the real images of each target.
fn soft_labels(
    Source { classes, module, .. }: Source,
    settings: &CondenseSettings,
    bank: &Bank,
    members: &[usize],
    plan: &Plan,
    labels: &[usize],
) -> Vec<f32> {
    let one_hot =
        |label: usize| (0..classes.len()).map(move |c| f32::from(c == label)).collect::<Vec<_>>();
    let (Labels::Soft, Some(module)) = (settings.labels, module) else {
        return labels.iter().flat_map(|&l| one_hot(l)).collect();
    };
    let row = |i: usize| {
        let of_target: Vec<usize> = members
            .iter()
            .copied()
            .filter(|&m| plan.clusters.get(&m) == Some(&plan.of[i]))
            .collect();
        let mut sum = vec![0f64; classes.len()];
        for &m in &of_target {
            let p = probabilities(&module.head, bank.adapted(m));
            sum.iter_mut().zip(p).for_each(|(s, p)| *s += p / of_target.len() as f64);
        }
        sum.into_iter().map(|s| s as f32).collect::<Vec<_>>()
    };
    (0..labels.len()).flat_map(row).collect()
}

fn record(
    Source { vit, classes, images, module }: Source,
    task: &str,
    settings: &CondenseSettings,
    bank: &Bank,
    members: &[usize],
    loss: [f64; 2],
) -> Result<Record, Error> {
    let accounting = bank.released().map(|r| &r.accounting);
    let mut groups: Vec<usize> =
        members.iter().map(|&m| images.groups()[bank.images()[m]]).collect();
    groups.sort_unstable();
    groups.dedup();
    let image_size = u32::try_from(settings.size).unwrap_or(u32::MAX);
    Ok(Record {
        format: Record::FORMAT.into(),
        version: Record::VERSION,
        task: task.to_owned(),
        classes: classes.to_vec(),
        per_class: settings.per_class,
        image_size,
        base_digest: vit.digest(),
        preprocessing: vit.preprocessing_for(image_size)?,
        start: settings.start,
        labels: settings.labels,
        real_images: accounting.is_none().then_some(members.len()),
        real_groups: accounting.is_none().then_some(groups.len()),
        module: module.map(Module::factors_digest).transpose()?,
        settings: serde_json::to_value(settings).expect("settings are plain data"),
        loss,
        privacy: accounting
            .map(|a: &Accounting| serde_json::to_value(a).expect("an accounting is plain data")),
    })
}

/// Refuses what cannot be condensed or must not be read.
fn check(source: Source, settings: &CondenseSettings, budget: Option<Budget>) -> Result<(), Error> {
    let Source { classes, images, module, .. } = source;
    let refuse = |what: String| Err(Error::Condense { what });
    for (class, name) in classes.iter().enumerate() {
        let of_class: Vec<usize> =
            (0..images.len()).filter(|&i| images.labels()[i] == class).collect();
        if of_class.len() < 2 {
            return refuse(format!(
                "class {name} has {} image in the training part: its condensed image would be a \
                 copy of it; add images",
                of_class.len()
            ));
        }
        let flat =
            |&&i: &&usize| images.pixels(i).chunks_exact(3).all(|p| p == &images.pixels(i)[..3]);
        let flat = of_class.iter().filter(flat).count();
        if flat == of_class.len() {
            return refuse(format!(
                "every image of class {name} is of one colour; there is nothing to match"
            ));
        }
    }
    if settings.labels == Labels::Soft && module.is_none() {
        return refuse("soft labels are a module's probabilities; name a module".into());
    }
    if let Some(budget) = budget {
        let members = images.labels().iter().copied().zip(images.groups().iter().copied());
        privacy::enough_groups(members, classes, budget)?;
        let second = [
            (
                module.is_some(),
                "a module has seen the same patients and carries no accounting of its own; leave \
                 the module away",
            ),
            (
                settings.start == Start::Real,
                "a start from real images shows them; start from noise",
            ),
            (
                settings.target == Target::Cluster,
                "clusters are found by reading every image; take the classes as targets",
            ),
            (
                settings.ridge > 0.0,
                "the ridge classifier reads every image at each iteration; take a ridge of 0",
            ),
        ];
        if let Some((_, why)) = second.iter().find(|(asked, _)| *asked) {
            return refuse(format!("under a privacy budget patients are read once: {why}"));
        }
    }
    Ok(())
}
