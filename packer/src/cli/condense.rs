//! `packer condense`: images and a base in, a few synthetic images out.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};

use super::device::{DeviceArg, on_device};
use super::input::{DataArg, beside, check_task, fingerprint, within};
use crate::base::Vit;
use crate::condense::privacy::{self, Accounting, Budget, Counts};
use crate::condense::{
    Checkpoint, CondenseSettings, Matching, Observer, Source, Target, condense, contact_sheet, page,
};
use crate::data::{Condensed, Images, Labels, Split, Start};
use crate::lora::Module;
use crate::output::{NewFile, Places};
use crate::{Error, output};

/// Condense a folder of labelled images into a few synthetic ones that stand in for them.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  packer condense --base vits14 --data breast --task breast --out \
                  c/breast --per-class 10 --size 112 --report c.html\n  \
    packer condense --base vits14 --data chest --task chest --out c/chest --per-class 10 --epsilon \
    8 --delta 1e-5\n\n\
    Only DATA's training part is read. The set is NOT private unless --epsilon is given; `packer \
    audit-privacy` shows what\n\
    it gives away. A run that was stopped goes on with the same command and --resume."
)]
pub struct Args {
    /// The base: a folder of Hugging Face (clip, dinov2 or vit) or timm
    #[arg(long, value_name = "DIR")]
    base: PathBuf,
    #[command(flatten)]
    data: DataArg,
    /// The task's name: lower-case letters, digits, '.', '_', '-'
    #[arg(long)]
    task: String,
    /// Where the condensed set goes
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    recipe: Recipe,
    /// The task's own module: the set is matched under it too
    #[arg(long, value_name = "DIR")]
    module: Option<PathBuf>,
    /// Release the classes' mean features once, so that the set is (EPSILON, DELTA)-differentially
    /// private per group
    #[arg(long, allow_negative_numbers = true)]
    epsilon: Option<f64>,
    /// The probability that goes with --epsilon; well below 1 / patients
    #[arg(long, default_value_t = 1e-5, requires = "epsilon", allow_negative_numbers = true)]
    delta: f64,
    /// With --epsilon: the fewest groups (patients) that a class may have
    #[arg(long, default_value_t = 20, requires = "epsilon")]
    min_groups: usize,
    /// With --epsilon: whether the number of groups in each class is public, or noised within the
    /// budget
    #[arg(long, value_enum, default_value_t = CountsArg::Public, requires = "epsilon")]
    counts: CountsArg,
    #[command(flatten)]
    device: DeviceArg,
    /// Also write a page that opens anywhere and loads nothing
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Go on from the checkpoint of a run that was stopped
    #[arg(long)]
    resume: bool,
    /// Replace what stands at --out and --report, and without --resume forget a checkpoint
    #[arg(long)]
    force: bool,
}

/// The settings of a condensation.
#[derive(clap::Args)]
struct Recipe {
    /// Synthetic images of each class
    #[arg(long, value_name = "N")]
    per_class: usize,
    /// Side of the images in pixels [default: what the base's preprocessor says]
    #[arg(long)]
    size: Option<u32>,
    #[arg(long, default_value_t = 1000)]
    iterations: usize,
    /// Synthetic images of an iteration
    #[arg(long, default_value_t = 32)]
    batch: usize,
    /// Length of the first step, as a share of the image coefficients' spread
    #[arg(long, default_value_t = 0.04)]
    lr: f64,
    #[arg(long, default_value_t = 0.9)]
    momentum: f64,
    /// Augmented views of the real images, measured once
    #[arg(long, default_value_t = 24)]
    views: usize,
    /// Random views for real and synthetic images alike, or the images as they are
    #[arg(long, value_enum, default_value_t = AugmentArg::Siamese)]
    augment: AugmentArg,
    /// What is matched: the CLS feature, also the tokens' means at --blocks blocks, also their
    /// deviations [default: moments; feature with --epsilon]
    #[arg(long = "match", value_enum)]
    matching: Option<MatchArg>,
    /// Blocks whose tokens are matched, evenly spread
    #[arg(long, default_value_t = 6)]
    blocks: usize,
    /// Match each image to a cluster of its class, or all of a class together to its mean [default:
    /// cluster; class with --epsilon]
    #[arg(long, value_enum)]
    targets: Option<TargetArg>,
    /// How strongly the networks that the set is matched under are perturbed, as a share of their
    /// weights' norm
    #[arg(long, default_value_t = 0.0)]
    perturbation: f64,
    /// Weight of a ridge classifier, fitted on the synthetic and tested on the real features
    /// [default: 3; 0 with --epsilon]
    #[arg(long)]
    ridge: Option<f64>,
    /// What the pixels start from; `real` is for research and shows patients' images
    #[arg(long = "init", value_enum, default_value_t = StartArg::Noise)]
    start: StartArg,
    /// One class for each image, or the module's probabilities
    #[arg(long, value_enum, default_value_t = LabelsArg::Hard)]
    labels: LabelsArg,
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum AugmentArg {
    Siamese,
    None,
}

#[derive(Clone, Copy, ValueEnum)]
enum MatchArg {
    Feature,
    Mean,
    Moments,
}

#[derive(Clone, Copy, ValueEnum)]
enum TargetArg {
    Class,
    Cluster,
}

#[derive(Clone, Copy, ValueEnum)]
enum StartArg {
    Noise,
    Real,
}

#[derive(Clone, Copy, ValueEnum)]
enum LabelsArg {
    Hard,
    Soft,
}

#[derive(Clone, Copy, ValueEnum)]
enum CountsArg {
    Public,
    Noised,
}

/// Real images of each class whose statistics are kept.
const REAL_PER_CLASS: usize = 512;

pub fn run(args: Args, places: &Places) -> Result<(), Error> {
    check_task(&args.task)?;
    let budget = args.budget()?;
    let settings = args.recipe.settings(budget.is_some())?;
    let out = places.folder("--out", &args.out, args.force, Condensed::MARKER)?;
    let report =
        args.report.as_ref().map(|path| places.file("--report", path, args.force)).transpose()?;
    let kept = places.updated("--out", &beside(out.path(), ".checkpoint"))?;
    let checkpoint = kept.path().to_owned();
    if checkpoint.exists() && !args.resume && !args.force {
        return Err(Error::CheckpointExists { path: checkpoint });
    }
    let mut vit = Vit::open(&args.base)?;
    let module = args.module.as_ref().map(|dir| Module::open(dir, &vit)).transpose()?;
    if let Some(module) = &module {
        vit.preprocessing = module.card.preprocessing.clone();
    }
    let size = args.recipe.size.unwrap_or(vit.preprocessing.output_size().height);
    let settings = CondenseSettings { size: size as usize, ..settings };
    let preprocessing = vit.preprocessing_for(size)?;
    let data = args.data.open()?;
    if let Some(module) = &module {
        crate::eval::check_classes(module, &data)?;
    }
    let training = data.indices(Split::Train);
    let images = Images::load(&data, &training, &preprocessing)?;
    let source =
        Source { vit: &vit, classes: &data.classes, images: &images, module: module.as_ref() };

    let factors = module.as_ref().map(Module::factors_digest).transpose()?.unwrap_or_default();
    let budget_text = format!("{budget:?}");
    let fingerprint =
        format!("{} {factors} {budget_text} {}", vit.digest(), fingerprint(&data, &training));
    let resume = if args.resume && checkpoint.exists() {
        Some(Checkpoint::open(&checkpoint, &settings, &fingerprint)?)
    } else {
        None
    };
    let mut observer = Console::new(&kept, &fingerprint);
    let opened = args.device.open(false)?;
    let set = on_device!(opened, device => condense(device, source, &args.task, &settings, budget,
        resume, &mut observer));
    observer.bar.finish_and_clear();
    let set = set.map_err(|e| observer.explain(e))?;

    let dir = out.begin()?;
    for (name, bytes) in set.files()? {
        dir.write(name, &bytes)?;
    }
    dir.write("contact-sheet.png", &contact_sheet(&set)?)?;
    dir.commit()?;
    if checkpoint.exists() {
        fs::remove_file(&checkpoint).map_err(|e| Error::io(&checkpoint, e))?;
    }
    if let Some(report) = &report {
        page(&set, &observer.course)?.write(report)?;
    }
    output::print(&summary(&args.out, &set))
}

impl Args {
    fn budget(&self) -> Result<Option<Budget>, Error> {
        let Some(epsilon) = self.epsilon else { return Ok(None) };
        privacy::noise(epsilon, self.delta)?;
        within("--min-groups", self.min_groups as f64, 2.0, 1e9)?;
        let counts = match self.counts {
            CountsArg::Public => Counts::Public,
            CountsArg::Noised => Counts::Noised,
        };
        Ok(Some(Budget { epsilon, delta: self.delta, least_groups: self.min_groups, counts }))
    }
}

impl Recipe {
    /// The settings, with the size still to be filled in.
    fn settings(&self, private: bool) -> Result<CondenseSettings, Error> {
        within("--per-class", self.per_class as f64, 1.0, 10_000.0)?;
        within("--iterations", self.iterations as f64, 1.0, 1e6)?;
        within("--batch", self.batch as f64, 1.0, 4096.0)?;
        within("--lr", self.lr, 1e-6, 10.0)?;
        within("--momentum", self.momentum, 0.0, 0.999)?;
        within("--views", self.views as f64, 1.0, 1000.0)?;
        within("--blocks", self.blocks as f64, 1.0, 1000.0)?;
        within("--perturbation", self.perturbation, 0.0, 10.0)?;
        let ridge = self.ridge.unwrap_or(if private { 0.0 } else { 3.0 });
        within("--ridge", ridge, 0.0, 1e6)?;
        Ok(CondenseSettings {
            size: 0,
            per_class: self.per_class,
            iterations: self.iterations,
            batch: self.batch,
            learning_rate: self.lr,
            momentum: self.momentum,
            views: self.views,
            augment: matches!(self.augment, AugmentArg::Siamese),
            blocks: self.blocks,
            matching: match (self.matching, private) {
                (Some(MatchArg::Feature), _) | (None, true) => Matching::Feature,
                (Some(MatchArg::Mean), _) => Matching::Mean,
                (Some(MatchArg::Moments), _) | (None, false) => Matching::Moments,
            },
            target: match (self.targets, private) {
                (Some(TargetArg::Class), _) | (None, true) => Target::Class,
                (Some(TargetArg::Cluster), _) | (None, false) => Target::Cluster,
            },
            perturbation: self.perturbation,
            ridge,
            start: match self.start {
                StartArg::Noise => Start::Noise,
                StartArg::Real => Start::Real,
            },
            labels: match self.labels {
                LabelsArg::Hard => Labels::Hard,
                LabelsArg::Soft => Labels::Soft,
            },
            real_per_class: REAL_PER_CLASS,
            seed: self.seed,
        })
    }
}

/// What was made, and what is promised of it.
fn summary(out: &Path, set: &Condensed) -> String {
    let record = &set.record;
    let [first, last] = record.loss;
    let mut text = format!(
        "{}: task {}, {} images of {} pixels, {} a class; loss {first:.4} at the start, {last:.4} \
         at the end\n",
        out.display(),
        record.task,
        set.len(),
        record.image_size,
        record.per_class
    );
    let accounting =
        record.privacy.as_ref().and_then(|p| serde_json::from_value::<Accounting>(p.clone()).ok());
    text += &match (accounting, record.start) {
        (Some(accounting), _) => format!("{}\n", accounting.statement),
        (None, Start::Real) => {
            "It was started from images of patients: do not give it away.\n".into()
        }
        (None, Start::Noise) => {
            "Nothing is promised about privacy: run `packer audit-privacy`, or condense with \
             --epsilon.\n"
                .into()
        }
    };
    text
}

/// The progress bar, and the checkpoint file.
struct Console<'a> {
    bar: ProgressBar,
    path: &'a NewFile,
    fingerprint: &'a str,
    saved: Instant,
    /// Iterations and the loss of late at each.
    course: Vec<(usize, f64)>,
}

/// A checkpoint is made this often.
const CHECKPOINT: Duration = Duration::from_secs(30);

impl<'a> Console<'a> {
    fn new(path: &'a NewFile, fingerprint: &'a str) -> Self {
        let style =
            ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len}  {msg}  {eta} left");
        let bar =
            ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Console { bar, path, fingerprint, saved: Instant::now(), course: Vec::new() }
    }

    /// An interruption, with what to do next.
    fn explain(&self, error: Error) -> Error {
        match error {
            Error::Interrupted { .. } if self.path.path().exists() => Error::Interrupted {
                hint: format!(
                    "; {} is kept, go on with the same command and --resume",
                    self.path.path().display()
                ),
            },
            other => other,
        }
    }
}

impl Observer for Console<'_> {
    fn step(&mut self, stage: &'static str, done: usize, total: usize, loss: Option<f64>) {
        if self.bar.prefix() != stage {
            self.bar.reset();
            self.bar.set_prefix(stage);
        }
        self.bar.set_length(total as u64);
        self.bar.set_position(done as u64);
        self.bar.set_message(loss.map_or(String::new(), |loss| format!("loss {loss:.4}")));
        self.course.extend(loss.map(|loss| (done, loss)));
    }

    fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), Error> {
        checkpoint.save(self.path, self.fingerprint)?;
        self.saved = Instant::now();
        Ok(())
    }

    fn wants_checkpoint(&mut self) -> bool {
        self.saved.elapsed() > CHECKPOINT
    }
}
