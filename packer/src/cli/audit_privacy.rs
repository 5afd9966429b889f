//! `packer audit-privacy`: what a condensed set, or a module, gives away about the images behind
//! it.

use std::path::PathBuf;

use serde::Serialize;

use super::device::{DeviceArg, on_device};
use super::input::DataArg;
use super::pace::Pace;
use crate::audit::{Distances, Membership, Rate, distances, membership, module_scores, set_scores};
use crate::base::Vit;
use crate::condense::Source;
use crate::condense::privacy::Accounting;
use crate::data::{Condensed, Dataset, Images, Progress, Split};
use crate::lora::Module;
use crate::{Error, output, train};

/// Measure what a condensed set or a module gives away: how near it comes to its images, and
/// whether one can tell who was in. The images are those that it was made from; their test split is
/// the control.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  packer audit-privacy --base vits14 --data chest --condensed \
                  c/chest\n  \
    packer audit-privacy --base vits14 --data chest --module m/chest --shadows 16 --json\n\n\
    The membership test makes the set (trains the module) anew from random halves of the patients, \
    once for each shadow:\n\
    it takes SHADOWS times as long as making it did, with 16 of them often hours on a processor. \
    After some steps it says how long.\n\
    Distances alone, with --shadows 0, take minutes.")]
pub struct Args {
    /// The base that the set or module was made with
    #[arg(long, value_name = "DIR")]
    base: PathBuf,
    #[command(flatten)]
    data: DataArg,
    /// The condensed set
    #[arg(long, value_name = "DIR", required_unless_present = "module")]
    condensed: Option<PathBuf>,
    /// A module: audited by itself, beside the set if there is one; where the set was made with it,
    /// it takes part in the shadows
    #[arg(long, value_name = "DIR")]
    module: Option<PathBuf>,
    /// Sets (modules) made from random halves of the patients; 0 for distances alone
    #[arg(long, default_value_t = 16)]
    shadows: usize,
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArg,
}

/// What was found.
#[derive(Serialize)]
struct Report {
    /// Nearest distances of the set, in pixels and in features.
    distances: Option<[Distances; 2]>,
    set: Option<Membership>,
    module: Option<Membership>,
    /// What the set's own accounting promises.
    promise: Option<Promise>,
}

/// The budget of a set that was released with one.
#[derive(Serialize)]
struct Promise {
    epsilon: f64,
    delta: f64,
    /// What no attack whatever exceeds at the two rates, for the membership of one group.
    largest_tpr_at_1_percent: f64,
    largest_tpr_at_01_percent: f64,
}

pub fn run(args: Args) -> Result<(), Error> {
    if (1..4).contains(&args.shadows) || args.shadows > 10_000 {
        let what =
            format!("is {}; a membership test needs 4 to 10000, 0 leaves it out", args.shadows);
        return Err(Error::Option { name: "--shadows", what });
    }
    let vit = Vit::open(&args.base)?;
    let data = args.data.open()?;
    let module = args.module.as_ref().map(|dir| Module::open(dir, &vit)).transpose()?;
    let set = args.condensed.as_ref().map(|dir| Condensed::open(dir)).transpose()?;
    if let (Some(dir), Some(set)) = (&args.condensed, &set) {
        check(dir, set, &vit, &data, module.as_ref())?;
    }
    if let Some(module) = &module {
        crate::eval::check_classes(module, &data)?;
    }
    let opened = args.device.open(false)?;
    let report = on_device!(opened, device => audit(device, &args, &vit, &data, set.as_ref(),
        module.as_ref()))?;
    if args.json {
        output::print(&format!(
            "{}\n",
            serde_json::to_string_pretty(&report).expect("a report is plain data")
        ))
    } else {
        output::print(&report.text())
    }
}

/// Refuses a set that was not made with this base, from these classes, or with another module than
/// is given.
fn check(
    dir: &std::path::Path,
    set: &Condensed,
    vit: &Vit,
    data: &Dataset,
    module: Option<&Module>,
) -> Result<(), Error> {
    let record = &set.record;
    if record.base_digest != vit.digest() {
        return Err(Error::OtherBase {
            path: dir.to_owned(),
            module: record.base_digest.clone(),
            base: vit.digest(),
        });
    }
    let refuse = |what: String| Err(Error::Condensed { path: dir.to_owned(), what });
    if record.classes != data.classes {
        return refuse(format!(
            "its classes are {:?}, those of the images {:?}",
            record.classes, data.classes
        ));
    }
    if let Some(digest) = &record.module {
        let given = module.map(Module::factors_digest).transpose()?;
        if given.as_ref() != Some(digest) {
            return refuse(
                "it was made with a module, and its shadows need the same one: pass it with \
                 --module"
                    .into(),
            );
        }
    }
    Ok(())
}

fn audit<D: crate::device::Device + 'static>(
    device: &D,
    args: &Args,
    vit: &Vit,
    data: &Dataset,
    set: Option<&Condensed>,
    module: Option<&Module>,
) -> Result<Report, Error> {
    let mut report = Report { distances: None, set: None, module: None, promise: None };
    let load = |split, preprocessing| Images::load(data, &data.indices(split), preprocessing);
    if let Some(set) = set {
        let training = load(Split::Train, &set.record.preprocessing)?;
        let control = load(Split::Test, &set.record.preprocessing)?;
        report.distances = Some(distances(device, vit, set, &training, &control, args.seed)?);
        let accounting =
            set.record.privacy.clone().and_then(|p| serde_json::from_value::<Accounting>(p).ok());
        report.promise = accounting.map(|a| {
            let bound = |rate: f64| (a.epsilon.exp() * rate + a.delta).min(1.0);
            let (largest_tpr_at_1_percent, largest_tpr_at_01_percent) = (bound(0.01), bound(0.001));
            Promise {
                epsilon: a.epsilon,
                delta: a.delta,
                largest_tpr_at_1_percent,
                largest_tpr_at_01_percent,
            }
        });
        if args.shadows > 0 {
            let used = if set.record.module.is_some() { module } else { None };
            let source = Source { vit, classes: &data.classes, images: &training, module: used };
            let progress = Progress::new("shadow sets", args.shadows);
            let mut pace = Pace::new("shadow sets", args.shadows);
            let scores =
                set_scores(device, source, set, args.shadows, args.seed, &mut pace, |_| {
                    progress.step()
                })?;
            report.set =
                Some(membership(&scores, training.labels(), training.groups(), args.seed)?);
        }
    }
    if let (Some(module), true) = (module, args.shadows > 0) {
        let training = load(Split::Train, &module.card.preprocessing)?;
        let settings =
            serde_json::from_value::<train::Settings>(module.card.training["settings"].clone());
        let settings = settings.map_err(|e| Error::Evaluation {
            what: format!(
                "the module's card does not say how it was trained ({e}), so no shadow can be \
                 trained like it"
            ),
        })?;
        let source =
            Source { vit, classes: &data.classes, images: &training, module: Some(module) };
        let progress = Progress::new("shadow modules", args.shadows);
        let mut pace = Pace::new("shadow modules", args.shadows);
        let scores =
            module_scores(device, source, &settings, args.shadows, args.seed, &mut pace, |_| {
                progress.step()
            })?;
        report.module = Some(membership(&scores, training.labels(), training.groups(), args.seed)?);
    }
    Ok(report)
}

impl Report {
    fn text(&self) -> String {
        let mut text = String::new();
        for d in self.distances.iter().flatten() {
            let Distances { space, real, to_training, to_control, control_to_training, .. } = d;
            text += &format!(
                "Distances in {space}, medians: a synthetic image to the nearest of {real} \
                 training images {to_training:.4}, of {real} \
                 images that had no part in it {to_control:.4}; these among each other \
                 {control_to_training:.4}.\n  Nearest of all: \
                 {:.4} and {:.4}. Nearer to a training image: {} of the synthetic images; .5 \
                 favours neither.\n",
                d.least_to_training,
                d.least_to_control,
                show(d.nearer_to_training)
            );
        }
        for (what, found) in [("set", &self.set), ("module", &self.module)] {
            let Some(m) = found else { continue };
            text += &format!(
                "Membership, {} shadow {what}s of random halves of the patients: of the members, \
                 {} are found where 1 % of the others \
                 are taken for members, {} where 0.1 % are; AUC {}.\n  Guessing finds .010, .001, \
                 and has AUC .5.\n",
                m.shadows,
                show(m.tpr_at_1_percent),
                show(m.tpr_at_01_percent),
                show(m.auc)
            );
        }
        if let Some(p) = &self.promise {
            text += &format!(
                "The set was released with epsilon {} and delta {}: at these rates no attack \
                 whatever finds more than {:.3} and {:.3} \
                 of the patients that were in.\n",
                p.epsilon, p.delta, p.largest_tpr_at_1_percent, p.largest_tpr_at_01_percent
            );
        }
        text + "These are lower bounds: what these attacks do not find, others may. Intervals are \
                95 %, over patients.\n"
    }
}

fn show(Rate { value, low, high }: Rate) -> String {
    format!("{value:.3} ({low:.3} to {high:.3})")
}
