//! `packer train`: images and a base in, a module out.

use std::fs;
use std::path::PathBuf;

use super::config::Effective;
use super::cut::{LEAST_CUT, cut_words, passes};
use super::device::{DeviceArg, on_device};
use super::dry_run;
use super::input::{
    DataArg, FitArg, beside, bytes, check_task, check_text, class_texts, fingerprint, mebibytes,
    within,
};
use super::profile::Profiling;
use crate::base::{FILES, TextTower, Vit};
use crate::data::{Augment, Images, Split};
use crate::eval::{Details, bootstrap};
use crate::lora::{Head, Module, TextHead};
use crate::output::{NewFolder, Places};
use crate::predict::probabilities;
use crate::train::{
    About, Checkpoint, Counts, Course, Examples, Method, Plan, TrainSettings, Trained, train_cut,
};
use crate::{Error, calibration, output};

mod console;

use console::Console;

/// Train a LoRA module and its head on a folder of labelled images.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  packer train --base vits14 --data breast --task breast --out \
                  m/breast --size 112 --epochs 8 --flips both\n  packer train --base vits14 --data \
                  breast --task breast --out m/breast --dora --lora-dropout 0.1\n  \
    packer train --base vits14 --data breast --task breast --out m/breast --validation 0.2 \
    --report breast.html\n  \
    packer train --base vits14 --data chest --columns path=file,label=diagnosis,group=patient \
    --task chest --out m/chest --fit pad\n\n\
    DATA holds splits.csv (path,label,group,split), labels.csv (path,label; DICOM files grouped by \
    PatientID), one folder per class, or\n\
    folders train and test (val too) with these inside, or is a MedMNIST file (.npz); only its \
    training part is read. `packer check DATA`\n\
    looks at every file first.\n\
    Histology has no upside: pass --flips both. Other images have one, and are mirrored left to \
    right alone unless --flips says otherwise.\n\
    With a CLIP, class names as texts can stand for a trained head:\n  \
    packer train --base clip --data breast --task breast --out m/breast --targets q,v,projection \
    --head text \\\n    \
    --class-text 'benign=a histology image of benign breast tissue' --class-text 'malignant=a \
    histology image of breast cancer'\n\
    A run that was stopped goes on with the same command and --resume.\n\
    --memory 6GiB cuts each step so that the process stays within 6 GiB; --dry-run says what would \
    be done, and in how much memory and time.")]
pub struct Args {
    /// The base: a folder of Hugging Face (clip, dinov2 or vit) or timm
    #[arg(long, value_name = "DIR")]
    base: PathBuf,
    #[command(flatten)]
    data: DataArg,
    /// The task's name: lower-case letters, digits, '.', '_', '-'
    #[arg(long)]
    task: String,
    /// Where the module goes
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Side of the input in pixels [default: what the base's preprocessor says]
    #[arg(long)]
    size: Option<u32>,
    #[arg(long, default_value_t = 8)]
    epochs: usize,
    /// Images per step
    #[arg(long, default_value_t = 32)]
    batch: usize,
    /// Highest learning rate
    #[arg(long, default_value_t = 1e-3)]
    lr: f64,
    #[arg(long, default_value_t = 0.01)]
    weight_decay: f64,
    /// Share of the steps over which the learning rate rises
    #[arg(long, default_value_t = 0.1)]
    warm_up: f64,
    /// Rank of the low-rank factors
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1024))]
    rank: u32,
    /// The module's change is scaled by alpha / rank
    #[arg(long, default_value_t = 16.0)]
    alpha: f64,
    /// Linear layers to adapt, of q, k, v, o, fc1, fc2 and, in a CLIP, projection
    #[arg(long, default_value = "q,v")]
    targets: String,
    /// linear: a head trained with the module. text: the features of --class-text, as they are; the
    /// base is a whole CLIP with its tokenizer
    #[arg(long, default_value = "linear", value_parser = ["linear", "text"])]
    head: String,
    /// What the images of a class show, for --head text: one text for every class, or several,
    /// which are averaged
    #[arg(long, value_name = "CLASS=TEXT")]
    class_text: Vec<String>,
    /// Adapt only the last N blocks
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    last_layers: Option<u16>,
    /// Train the lengths of the changed weights' rows too (DoRA); such modules mix but do not fuse
    #[arg(long)]
    dora: bool,
    /// Drop this share of what goes into the low-rank branches, in training alone
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    lora_dropout: f64,
    /// Train every weight of the base instead; --out is then a base with a module for it inside
    #[arg(long, conflicts_with_all = ["rank", "alpha", "targets", "last_layers", "dora",
        "lora_dropout"])]
    full: bool,
    /// With --full: start from random weights; BASE needs only its two configuration files
    #[arg(long, requires = "full")]
    from_scratch: bool,
    /// With --full: store the base's weights in f16
    #[arg(long, requires = "full")]
    half: bool,
    /// Share of all training groups held out to choose the best epoch and to calibrate; 0 keeps the
    /// last epoch, uncalibrated [default: the validation part that DATA states (val), else 0]
    #[arg(long, value_name = "SHARE")]
    validation: Option<f64>,
    /// Calibrate only on so many held-out groups of each class: fewer give a temperature that fits
    /// them and no others
    #[arg(long, value_name = "N", default_value_t = calibration::LEAST_GROUPS)]
    min_calibration_groups: usize,
    /// Random flips of training images: both (for histology), horizontal, vertical or none.
    /// Vertical ones turn an X-ray upside down
    #[arg(long, default_value = "horizontal", value_parser = ["both", "horizontal", "vertical",
        "none"])]
    flips: String,
    #[command(flatten)]
    fit: FitArg,
    /// Random brightness, contrast and saturation, 0 to 1
    #[arg(long, default_value_t = 0.0)]
    colour_jitter: f32,
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Who contributes the module
    #[arg(long, default_value = "unnamed")]
    contributor: String,
    /// The module's licence
    #[arg(long, default_value = "unspecified")]
    licence: String,
    #[command(flatten)]
    device: DeviceArg,
    /// The type of frozen weights and activations on a GPU; sums and what is trained stay f32
    #[arg(long, default_value = "f32", value_parser = ["f32", "f16"])]
    precision: String,
    /// What the process may take, on a GPU together with the GPU's own memory: bytes, or like
    /// 800MiB or 6GiB [default: no bound]
    #[arg(long, value_name = "SIZE")]
    memory: Option<String>,
    /// Say what would be done, time two steps on random pixels, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// With --dry-run: print JSON
    #[arg(long, requires = "dry_run")]
    json: bool,
    /// Count and time what the second step asks of the GPU, and print it
    #[arg(long)]
    profile: bool,
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

pub fn run(args: Args, options: Vec<Effective>, places: &Places) -> Result<(), Error> {
    let settings = args.settings()?;
    check_task(&args.task)?;
    check_text("--contributor", &args.contributor)?;
    check_text("--licence", &args.licence)?;
    let out = places.folder("--out", &args.out, args.force, "module.json")?;
    let report =
        args.report.as_ref().map(|path| places.file("--report", path, args.force)).transpose()?;
    let kept = places.updated("--out", &beside(out.path(), ".checkpoint"))?;
    let checkpoint = kept.path().to_owned();
    if checkpoint.exists() && !args.resume && !args.force {
        return Err(Error::CheckpointExists { path: checkpoint });
    }
    let bound = args.memory.as_deref().map(|text| bytes("--memory", text)).transpose()?;
    let half = args.precision == "f16";
    if half && args.full {
        let what = "f16 is for frozen weights, and --full freezes none; leave it at f32".into();
        return Err(Error::Option { name: "--precision", what });
    }
    let mut vit = if args.from_scratch {
        Vit::random(&args.base, args.seed)?
    } else {
        Vit::open(&args.base)?
    };
    if let Some(fit) = args.fit.get() {
        vit.preprocessing = fit.of(&vit.preprocessing);
    }
    let size = args.size.unwrap_or(vit.preprocessing.output_size().height);
    let settings = TrainSettings { size: size as usize, ..settings };
    let preprocessing = vit.preprocessing_for(size)?;
    let data = args.data.open()?;
    let (texts, head) = args.head(&data.classes)?;
    let (training, validation) = match args.validation {
        Some(share) => data.hold_out(share, args.seed)?,
        None => data.stated_parts()?,
    };
    let counts = Counts {
        classes: data.classes.len(),
        training: training.len(),
        validation: validation.len(),
        file: fs::metadata(args.base.join(FILES[2])).map_or(0, |file| file.len()),
    };
    let opened = args.device.open(half)?;
    let plan = on_device!(opened, device => Plan::new(device, &vit, &settings, counts, bound)?);
    if args.dry_run {
        let parts = [&training[..], &validation];
        let cut = data.headers(&data.indices(Split::Train), &preprocessing)?;
        let dry = dry_run::DryRun {
            vit: &vit,
            data: &data,
            parts,
            settings: &settings,
            counts,
            plan,
            bound,
            options,
            cut,
        };
        return dry.run(&opened, args.json);
    }
    let both: Vec<usize> = training.iter().chain(&validation).copied().collect();
    let images = Images::load(&data, &both, &preprocessing)?;
    if images.cut() >= LEAST_CUT {
        output::say(&cut_words(images.cut()));
    }
    let positions: Vec<usize> = (0..both.len()).collect();
    let (training, validation) = positions.split_at(training.len());

    let data_print = fingerprint(&data, &both);
    let fingerprint =
        format!("{} {preprocessing:?} {} {data_print} {texts:?}", vit.digest(), training.len());
    let resume = if args.resume && checkpoint.exists() {
        Some(Checkpoint::open(&checkpoint, &settings, &fingerprint)?)
    } else {
        None
    };
    let mut observer = Console::new(
        &kept,
        &fingerprint,
        settings.epochs,
        resume.as_ref().map_or(0, Checkpoint::step),
    );
    let examples = Examples {
        classes: &data.classes,
        images: &images,
        training,
        validation,
        head: head.as_ref(),
    };
    observer.profile = args.profile.then(|| Profiling::of(&opened)).transpose()?;
    if let Some(bound) = bound {
        let (taken, bound) = (mebibytes(plan.memory.total()), mebibytes(bound));
        output::say(&format!(
            "memory: about {taken} of {bound}; {}",
            passes(plan.cut, settings.batch)
        ));
    }
    let cut = bound.map(|_| plan.cut);
    let trained = on_device!(opened, device => train_cut(device, &vit, examples, &settings, cut,
        resume, &mut observer));
    observer.bar.finish_and_clear();
    let trained = trained.map_err(|e| observer.explain(e))?;
    let table = observer.profile.take().map(Profiling::table).transpose()?;
    let (epochs, kept_epoch) = (trained.epochs.clone(), trained.kept_epoch);
    let speed = trained.images_per_second.map_or(String::new(), |s| format!(", {s:.1} images/s"));
    let last = trained.epochs.last().map_or(f64::NAN, |e| e.loss);
    let summary = format!(
        "kept epoch {kept_epoch} of {}, last training loss {last:.4}{speed}",
        settings.epochs
    );
    let (vit, mut module) = made(&args, vit, &settings, trained, texts)?;
    module.card.training["share_cut"] = images.cut().into();
    let held_out = match validation {
        [] => None,
        _ => {
            let parts = [training, validation];
            let at_once = cut.map_or(CALIBRATED_TOGETHER, |cut| cut.per_pass);
            let least = args.min_calibration_groups;
            Some(on_device!(opened, device => {
                calibration::calibrate(device, &vit, &mut module, &images, parts, at_once, least)
            })?)
        }
    };
    save(out, args.full.then_some(&vit), &module)?;
    if checkpoint.exists() {
        fs::remove_file(&checkpoint).map_err(|e| Error::io(&checkpoint, e))?;
    }
    if let Some(report) = &report {
        let held_out =
            held_out.map(|features| judged(&module, examples, &features, args.seed)).transpose()?;
        let (training, validation) = (training.len(), held_out.as_ref());
        let course = Course {
            module: &module,
            settings: &settings,
            epochs: &epochs,
            kept_epoch,
            training,
            validation,
        };
        course.page().write(report)?;
    }
    output::print(&said(&args, &module, &summary, table.flatten()))
}

/// How the module does on the validation part, whose features are given.
fn judged(
    module: &Module,
    examples: Examples,
    features: &[Vec<f32>],
    seed: u64,
) -> Result<Details, Error> {
    let Examples { classes, images, validation, .. } = examples;
    let rows: Vec<f32> =
        features.iter().flat_map(|f| probabilities(&module.head, f)).map(|p| p as f32).collect();
    let of = |all: &[usize]| validation.iter().map(|&i| all[i]).collect::<Vec<_>>();
    let (labels, groups) = (of(images.labels()), of(images.groups()));
    Details::new(classes.len(), &labels, &groups, &rows, bootstrap::RESAMPLES, seed)
}

impl Args {
    /// The texts of `--class-text` and the head that they make; none where the head is trained.
    fn head(&self, classes: &[String]) -> Result<(TextHead, Option<Head>), Error> {
        let texts = class_texts(&self.class_text)?;
        match (self.head.as_str(), texts.is_empty()) {
            ("text", true) => {
                let what = "takes a --class-text for every class".into();
                Err(Error::Option { name: "--head text", what })
            }
            ("text", false) => {
                let head = Head::of_texts(&TextTower::open(&self.base)?, classes, &texts)?;
                Ok((texts, Some(head)))
            }
            (_, true) => Ok((texts, None)),
            (_, false) => {
                let what = "describes classes for a head of texts; pass --head text too".into();
                Err(Error::Option { name: "--class-text", what })
            }
        }
    }

    /// The settings, with the size still to be filled in.
    fn settings(&self) -> Result<TrainSettings, Error> {
        within("--epochs", self.epochs as f64, 1.0, 100_000.0)?;
        within("--batch", self.batch as f64, 1.0, 4096.0)?;
        within("--lr", self.lr, 1e-9, 1e3)?;
        within("--weight-decay", self.weight_decay, 0.0, 10.0)?;
        within("--warm-up", self.warm_up, 0.0, 1.0)?;
        within("--alpha", self.alpha, 1e-6, 1e6)?;
        within("--lora-dropout", self.lora_dropout, 0.0, 0.9)?;
        within("--validation", self.validation.unwrap_or(0.0), 0.0, 0.9)?;
        within("--min-calibration-groups", self.min_calibration_groups as f64, 2.0, 1e9)?;
        within("--colour-jitter", f64::from(self.colour_jitter), 0.0, 1.0)?;
        let method = if self.full {
            Method::Full
        } else {
            Method::Lora {
                rank: self.rank as usize,
                alpha: self.alpha,
                targets: self
                    .targets
                    .parse::<crate::lora::Targets>()
                    .map_err(|what| Error::Targets { what })?
                    .to_string(),
                last_layers: self.last_layers.map(usize::from),
                dora: self.dora,
                dropout: self.lora_dropout,
            }
        };
        Ok(TrainSettings {
            size: 0,
            epochs: self.epochs,
            batch: self.batch,
            learning_rate: self.lr,
            weight_decay: self.weight_decay,
            warm_up: self.warm_up,
            augment: Augment {
                flip_horizontal: matches!(self.flips.as_str(), "both" | "horizontal"),
                flip_vertical: matches!(self.flips.as_str(), "both" | "vertical"),
                colour_jitter: self.colour_jitter,
            },
            seed: self.seed,
            method,
        })
    }
}

/// The module of a training, and the base that it is for: after full training a new one.
fn made(
    args: &Args,
    mut vit: Vit,
    settings: &TrainSettings,
    mut trained: Trained,
    texts: TextHead,
) -> Result<(Vit, Module), Error> {
    if let Some(mut tensors) = trained.base.take() {
        if args.half {
            tensors.values_mut().for_each(narrow);
        }
        vit.tensors = tensors;
    }
    let about = About {
        task: args.task.clone(),
        contributor: args.contributor.clone(),
        licence: args.licence.clone(),
    };
    let mut module = trained.into_module(&vit, settings, about)?;
    module.card.class_texts = texts;
    Ok((vit, module))
}

/// Writes the module, and after full training the base around it.
fn save(out: NewFolder, base: Option<&Vit>, module: &Module) -> Result<(), Error> {
    let dir = out.begin()?;
    if let Some(base) = base {
        for (name, bytes) in base.files()? {
            dir.write(name, &bytes)?;
        }
    }
    for (name, bytes) in module.files()? {
        dir.write(name, &bytes)?;
    }
    dir.commit()
}

/// What was made, in words.
fn said(args: &Args, module: &Module, summary: &str, profile: Option<String>) -> String {
    let held_out = module.card.calibration.is_some() || module.card.uncalibrated.is_some();
    let calibrated =
        if held_out { format!("{}\n", calibration::words(&module.card)) } else { String::new() };
    let profile = profile.unwrap_or_default();
    format!("{}: task {}, {summary}\n{calibrated}{profile}", args.out.display(), args.task)
}

/// Images between two looks at the calibration's progress.
const CALIBRATED_TOGETHER: usize = 32;

/// The nearest f16 values, to be stored as such.
fn narrow(tensor: &mut medforge_runtime::tensors::Tensor) {
    tensor.dtype = medforge_runtime::tensors::Dtype::F16;
    for value in &mut tensor.data {
        *value = half::f16::from_f32(*value).to_f32();
    }
}
