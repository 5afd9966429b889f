//! `packer train`: images and a base in, a module out.

use super::config::Effective;
use super::cut::{LEAST_CUT, cut_words, passes};
use super::device::on_device;
use super::input::mebibytes;
use super::keep;
use super::profile::Profiling;
use crate::data::{Images, Split};
use crate::lora::Module;
use crate::output::Places;
use crate::train::{Checkpoint, Course, Examples, Job, Resumable, Trained};
use crate::{Error, calibration, output};

mod args;
mod console;
mod dry_run;
mod finish;
mod outputs;
mod prepared;
mod settings;

pub use args::Args;

use console::Console;
use dry_run::DryRun;
use finish::{calibrate, module_of, validation_details};
use outputs::{Outputs, save};
use prepared::Prepared;

pub fn run(args: Args, options: Vec<Effective>, places: &Places) -> Result<(), Error> {
    let settings = args.settings()?;
    args.check_names()?;
    let outputs = Outputs::of(&args, places)?;
    let prepared = Prepared::new(&args, settings)?;
    if args.dry_run {
        return dry_run(&args, &prepared, options);
    }
    let images = prepared.images()?;
    if images.cut() >= LEAST_CUT {
        output::say(&cut_words(images.cut()));
    }
    train(&args, prepared, outputs, &images)
}

fn dry_run(args: &Args, prepared: &Prepared, options: Vec<Effective>) -> Result<(), Error> {
    let Prepared { vit, data, settings, counts, plan, bound, .. } = prepared;
    let cut = data.headers(&data.indices(Split::Train), &prepared.preprocessing)?;
    let parts = [&prepared.training[..], &prepared.validation];
    let (counts, plan, bound) = (*counts, *plan, *bound);
    let dry = DryRun { vit, data, parts, settings, counts, plan, bound, options, cut };
    dry.run(&prepared.device, args.json)
}

/// Trains, and writes the module and the report.
fn train(
    args: &Args,
    mut prepared: Prepared,
    outputs: Outputs,
    images: &Images,
) -> Result<(), Error> {
    let (classes, head) = (prepared.data.classes.clone(), prepared.head.take());
    let places: Vec<usize> = (0..images.len()).collect();
    let (training, validation) = places.split_at(prepared.training.len());
    let examples =
        Examples { classes: &classes, images, training, validation, head: head.as_ref() };
    let (trained, profile) = trained(args, &prepared, &outputs, examples)?;
    let (epochs, kept_epoch) = (trained.epochs.clone(), trained.kept_epoch);
    let summary = summary(&trained, prepared.settings.epochs);
    let mut module = module_of(args, &mut prepared, trained)?;
    module.card.training["share_cut"] = images.cut().into();
    let features = calibrate(args, &prepared, &mut module, examples)?;
    save(outputs.out, args.full.then_some(&prepared.vit), &module)?;
    keep::forget(&outputs.checkpoint)?;
    if let Some(report) = &outputs.report {
        let details = features
            .map(|features| validation_details(&module, examples, &features, args.seed))
            .transpose()?;
        let course = Course {
            module: &module,
            settings: &prepared.settings,
            epochs: &epochs,
            kept_epoch,
            training: training.len(),
            validation: details.as_ref(),
        };
        course.page().write(report)?;
    }
    output::print(&words(args, &module, &summary, profile))
}

/// The trained weights, and with `--profile` the account of a step.
fn trained(
    args: &Args,
    prepared: &Prepared,
    outputs: &Outputs,
    examples: Examples,
) -> Result<(Trained, Option<String>), Error> {
    let Prepared { settings, vit, device, .. } = prepared;
    let fingerprint = prepared.fingerprint();
    let checkpoint = outputs.checkpoint.path();
    let resume = if args.resume && checkpoint.exists() {
        Some(Checkpoint::open(checkpoint, settings, &fingerprint)?)
    } else {
        None
    };
    let first_step = resume.as_ref().map_or(0, Checkpoint::step);
    let mut console = Console::new(&outputs.checkpoint, &fingerprint, settings.epochs, first_step);
    console.profile = args.profile.then(|| Profiling::of(device)).transpose()?;
    if let Some(bound) = prepared.bound {
        let (taken, bound) = (mebibytes(prepared.plan.memory.total()), mebibytes(bound));
        output::say(&format!(
            "memory: about {taken} of {bound}; {}",
            passes(prepared.plan.cut, settings.batch)
        ));
    }
    let trained = on_device!(device, device => {
        let job = Job::new(device, vit, examples, settings);
        Job { cut: prepared.cut(), resume, ..job }.run(&mut console)
    });
    console.bar.finish_and_clear();
    let trained = trained.map_err(|e| console.keeper.explain(e))?;
    let profile = console.profile.take().map(Profiling::table).transpose()?;
    Ok((trained, profile.flatten()))
}

/// How the training went, in words.
fn summary(trained: &Trained, epochs: usize) -> String {
    let speed = trained.images_per_second.map_or(String::new(), |s| format!(", {s:.1} images/s"));
    let last = trained.epochs.last().map_or(f64::NAN, |e| e.loss);
    format!("kept epoch {} of {epochs}, last training loss {last:.4}{speed}", trained.kept_epoch)
}

/// The result of the command, in words.
fn words(args: &Args, module: &Module, summary: &str, profile: Option<String>) -> String {
    let held_out = module.card.calibration.is_some() || module.card.uncalibrated.is_some();
    let calibrated =
        if held_out { format!("{}\n", calibration::words(&module.card)) } else { String::new() };
    let profile = profile.unwrap_or_default();
    format!("{}: task {}, {summary}\n{calibrated}{profile}", args.out.display(), args.task)
}
