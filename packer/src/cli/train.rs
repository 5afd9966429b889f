//! `packer train`: images and a base in, a module out.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::device::{DeviceArg, Opened, on_device};
use super::input::{beside, check_task, check_text, fingerprint, within};
use super::profile;
use crate::base::Vit;
use crate::data::{Augment, Dataset, Images, Split};
use crate::device::Device;
use crate::device::gpu::Gpu;
use crate::eval::{Details, bootstrap};
use crate::lora::Module;
use crate::output::OutputDir;
use crate::predict::{Predictor, probabilities};
use crate::train::{About, Checkpoint, Course, Epoch, Examples, Method, Observer, Settings, Trained, train};
use crate::{Error, output};

/// Train a LoRA module and its head on a folder of labelled images.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  packer train --base vits14 --data breast --task breast --out m/breast --size 112 --epochs 8\n  \
    packer train --base vits14 --data breast --task breast --out m/breast --validation 0.2 --report breast.html\n\n\
    DATA holds splits.csv (path,label,group,split) or one folder per class, or is a MedMNIST file (.npz); only its training part is read.\n\
    A run that was stopped goes on with the same command and --resume."
)]
pub struct Args {
    /// The base: a Hugging Face folder of the family clip, dinov2 or vit
    #[arg(long, value_name = "DIR")]
    base: PathBuf,
    /// The images
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
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
    /// Adapt only the last N blocks
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    last_layers: Option<u16>,
    /// Train every weight of the base instead; --out is then a base with a module for it inside
    #[arg(long, conflicts_with_all = ["rank", "alpha", "targets", "last_layers"])]
    full: bool,
    /// With --full: start from random weights; BASE needs only its two configuration files
    #[arg(long, requires = "full")]
    from_scratch: bool,
    /// With --full: store the base's weights in f16
    #[arg(long, requires = "full")]
    half: bool,
    /// Share of the training groups held out to choose the best epoch; 0 keeps the last epoch
    #[arg(long, default_value_t = 0.0)]
    validation: f64,
    /// Random flips: both, horizontal, vertical or none
    #[arg(long, default_value = "both", value_parser = ["both", "horizontal", "vertical", "none"])]
    flips: String,
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
    /// Count and time what the second step asks of the GPU, and print it
    #[arg(long)]
    profile: bool,
    /// Also write a page that opens anywhere and loads nothing
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Go on from the checkpoint of a run that was stopped
    #[arg(long, conflicts_with = "force")]
    resume: bool,
    /// Replace --out, and forget a checkpoint
    #[arg(long)]
    force: bool,
}

pub fn run(args: Args) -> Result<(), Error> {
    let settings = args.settings()?;
    check_task(&args.task)?;
    check_text("--contributor", &args.contributor)?;
    check_text("--licence", &args.licence)?;
    if args.out.exists() && !args.force {
        return Err(Error::OutputExists { path: args.out });
    }
    let checkpoint = beside(&args.out, ".checkpoint");
    if checkpoint.exists() && !args.resume && !args.force {
        return Err(Error::CheckpointExists { path: checkpoint });
    }
    let half = args.precision == "f16";
    if half && args.full {
        let what = "f16 is for frozen weights, and --full freezes none; leave it at f32".into();
        return Err(Error::Option { name: "--precision", what });
    }
    let vit = match args.from_scratch {
        true => Vit::random(&args.base, args.seed)?,
        false => Vit::open(&args.base)?,
    };
    let size = args.size.unwrap_or(vit.preprocessing.output_size().height);
    let settings = Settings { size: size as usize, ..settings };
    let preprocessing = vit.preprocessing_for(size)?;
    let data = Dataset::open(&args.data)?;
    let (training, validation) = match args.validation > 0.0 {
        true => data.hold_out(args.validation, args.seed)?,
        false => (data.indices(Split::Train), Vec::new()),
    };
    let both: Vec<usize> = training.iter().chain(&validation).copied().collect();
    let images = Images::load(&data, &both, &preprocessing)?;
    let positions: Vec<usize> = (0..both.len()).collect();
    let (training, validation) = positions.split_at(training.len());

    let fingerprint = format!("{} {preprocessing:?} {} {}", vit.digest(), training.len(), fingerprint(&data, &both));
    let resume = match args.resume && checkpoint.exists() {
        true => Some(Checkpoint::open(&checkpoint, &settings, &fingerprint)?),
        false => None,
    };
    let mut observer =
        Console::new(&checkpoint, &fingerprint, settings.epochs, resume.as_ref().map_or(0, Checkpoint::step));
    let examples = Examples { classes: &data.classes, images: &images, training, validation };
    let opened = args.device.open(half)?;
    observer.profile = match &opened {
        Opened::Gpu(gpu) => args.profile.then(|| Profiling::new(gpu.clone())),
        Opened::Cpu(_) if args.profile => {
            let what = "counts what is asked of a GPU; pass --device gpu".into();
            return Err(Error::Option { name: "--profile", what });
        }
        Opened::Cpu(_) => None,
    };
    let trained = on_device!(opened, device => train(device, &vit, examples, &settings, resume, &mut observer));
    observer.bar.finish_and_clear();
    let trained = trained.map_err(|e| observer.explain(e))?;
    let table = observer.profile.take().map(|p| p.table).transpose()?;
    let (epochs, kept_epoch) = (trained.epochs.clone(), trained.kept_epoch);
    let (vit, module) = save(&args, vit, &settings, trained)?;
    if let Some(table) = table.flatten() {
        output::print(&table)?;
    }
    if checkpoint.exists() {
        fs::remove_file(&checkpoint).map_err(|e| Error::io(&checkpoint, e))?;
    }
    if let Some(path) = &args.report {
        let held_out = match validation {
            [] => None,
            _ => Some(on_device!(opened, device => judged(device, &vit, &module, examples, args.seed)?)),
        };
        let (training, validation) = (training.len(), held_out.as_ref());
        let course = Course { module: &module, settings: &settings, epochs: &epochs, kept_epoch, training, validation };
        course.page().write(path)?;
    }
    Ok(())
}

/// How the module does on the validation part.
fn judged<D: Device + 'static>(
    device: &D,
    vit: &Vit,
    module: &Module,
    examples: Examples,
    seed: u64,
) -> Result<Details, Error> {
    let Examples { classes, images, validation, .. } = examples;
    let predictor = Predictor::new(device, vit, Some(module), images.size().width as usize);
    let features = predictor.features_of(images, validation, |_| ())?;
    let rows: Vec<f32> = features.iter().flat_map(|f| probabilities(&module.head, f)).map(|p| p as f32).collect();
    let of = |all: &[usize]| validation.iter().map(|&i| all[i]).collect::<Vec<_>>();
    let (labels, groups) = (of(images.labels()), of(images.groups()));
    Details::new(classes.len(), &labels, &groups, &rows, bootstrap::RESAMPLES, seed)
}

impl Args {
    /// The settings, with the size still to be filled in.
    fn settings(&self) -> Result<Settings, Error> {
        within("--epochs", self.epochs as f64, 1.0, 100_000.0)?;
        within("--batch", self.batch as f64, 1.0, 4096.0)?;
        within("--lr", self.lr, 1e-9, 1e3)?;
        within("--weight-decay", self.weight_decay, 0.0, 10.0)?;
        within("--warm-up", self.warm_up, 0.0, 1.0)?;
        within("--alpha", self.alpha, 1e-6, 1e6)?;
        within("--validation", self.validation, 0.0, 0.9)?;
        within("--colour-jitter", f64::from(self.colour_jitter), 0.0, 1.0)?;
        let method = match self.full {
            true => Method::Full,
            false => Method::Lora {
                rank: self.rank as usize,
                alpha: self.alpha,
                targets: self
                    .targets
                    .parse::<crate::lora::Targets>()
                    .map_err(|what| Error::Targets { what })?
                    .to_string(),
                last_layers: self.last_layers.map(usize::from),
            },
        };
        Ok(Settings {
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

/// Writes the module, and after full training the base around it; both as they were written.
fn save(args: &Args, mut vit: Vit, settings: &Settings, mut trained: Trained) -> Result<(Vit, Module), Error> {
    let dir = OutputDir::begin(&args.out, args.force, "module.json")?;
    if let Some(mut tensors) = trained.base.take() {
        if args.half {
            tensors.values_mut().for_each(narrow);
        }
        vit.tensors = tensors;
        for (name, bytes) in vit.files()? {
            dir.write(name, &bytes)?;
        }
    }
    let last = trained.epochs.last().map_or(f64::NAN, |e| e.loss);
    let speed = trained.images_per_second.map_or(String::new(), |s| format!(", {s:.1} images/s"));
    let kept_epoch = trained.kept_epoch;
    let about = About { task: args.task.clone(), contributor: args.contributor.clone(), licence: args.licence.clone() };
    let module = trained.into_module(&vit, settings, about)?;
    for (name, bytes) in module.files()? {
        dir.write(name, &bytes)?;
    }
    dir.commit()?;
    let (out, task, epochs) = (args.out.display(), &args.task, settings.epochs);
    output::print(&format!(
        "{out}: task {task}, kept epoch {kept_epoch} of {epochs}, last training loss {last:.4}{speed}\n"
    ))?;
    Ok((vit, module))
}

/// The nearest f16 values, to be stored as such.
fn narrow(tensor: &mut medforge_runtime::tensors::Tensor) {
    tensor.dtype = medforge_runtime::tensors::Dtype::F16;
    for value in &mut tensor.data {
        *value = half::f16::from_f32(*value).to_f32();
    }
}

/// The progress bar, and the checkpoint file.
struct Console<'a> {
    bar: ProgressBar,
    path: &'a Path,
    fingerprint: &'a str,
    epochs: usize,
    first_step: usize,
    images: usize,
    loss: f64,
    start: Instant,
    saved: Instant,
    profile: Option<Profiling>,
}

/// The counting of the second step: the first one compiles the kernels.
struct Profiling {
    gpu: Gpu,
    begun: Instant,
    table: Result<Option<String>, Error>,
}

impl Profiling {
    fn new(gpu: Gpu) -> Self {
        Profiling { gpu, begun: Instant::now(), table: Ok(None) }
    }

    fn after(&mut self, steps: usize) {
        match steps {
            1 => {
                self.gpu.engine().profile();
                self.begun = Instant::now();
            }
            2 => {
                let records = self.gpu.engine().take_profile();
                self.table = records.map(|r| Some(profile::table(&r, self.begun.elapsed().as_secs_f64())));
            }
            _ => {}
        }
    }
}

/// A checkpoint is made this often within an epoch.
const CHECKPOINT: Duration = Duration::from_secs(30);

impl<'a> Console<'a> {
    fn new(path: &'a Path, fingerprint: &'a str, epochs: usize, first_step: usize) -> Self {
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} steps  {msg}  {eta} left");
        let bar = ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        let now = Instant::now();
        Console {
            bar,
            path,
            fingerprint,
            epochs,
            first_step,
            images: 0,
            loss: f64::NAN,
            start: now,
            saved: now,
            profile: None,
        }
    }

    /// An interruption, with what to do next.
    fn explain(&self, error: Error) -> Error {
        match error {
            Error::Interrupted { .. } if self.path.exists() => Error::Interrupted {
                hint: format!("; {} is kept, go on with the same command and --resume", self.path.display()),
            },
            other => other,
        }
    }
}

impl Observer for Console<'_> {
    fn step(&mut self, done: usize, total: usize, images: usize, loss: Option<f64>) {
        if let Some(profile) = &mut self.profile {
            profile.after(done - self.first_step);
        }
        self.images += images;
        self.loss = loss.unwrap_or(self.loss);
        let speed = self.images as f64 / self.start.elapsed().as_secs_f64();
        self.bar.set_length((total - self.first_step) as u64);
        self.bar.set_position((done - self.first_step) as u64);
        self.bar.set_message(format!(
            "epoch {}/{}  loss {:.4}  {speed:.1} images/s",
            done.saturating_sub(1) * self.epochs / total + 1,
            self.epochs,
            self.loss
        ));
    }

    fn epoch(&mut self, epoch: &Epoch) {
        let validation = epoch.validation.map_or(String::new(), |v| {
            format!(", validation balanced accuracy {:.4}, loss {:.4}", v.balanced_accuracy, v.loss)
        });
        let line = format!("epoch {}: loss {:.4}{validation}", epoch.epoch, epoch.loss);
        match self.bar.is_hidden() {
            true => eprintln!("{line}"),
            false => self.bar.println(line),
        }
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
