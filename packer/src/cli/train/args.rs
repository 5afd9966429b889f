//! The options of `packer train`.

use std::path::PathBuf;

use crate::calibration;
use crate::cli::device::DeviceArg;
use crate::cli::input::{DataArg, FitArg};

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
    pub base: PathBuf,
    #[command(flatten)]
    pub data: DataArg,
    /// The task's name: lower-case letters, digits, '.', '_', '-'
    #[arg(long)]
    pub task: String,
    /// Where the module goes
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Side of the input in pixels [default: what the base's preprocessor says]
    #[arg(long)]
    pub size: Option<u32>,
    #[arg(long, default_value_t = 8)]
    pub epochs: usize,
    /// Images per step
    #[arg(long, default_value_t = 32)]
    pub batch: usize,
    /// Highest learning rate
    #[arg(long, default_value_t = 1e-3)]
    pub lr: f64,
    #[arg(long, default_value_t = 0.01)]
    pub weight_decay: f64,
    /// Share of the steps over which the learning rate rises
    #[arg(long, default_value_t = 0.1)]
    pub warm_up: f64,
    /// Rank of the low-rank factors
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub rank: u32,
    /// The module's change is scaled by alpha / rank
    #[arg(long, default_value_t = 16.0)]
    pub alpha: f64,
    /// Linear layers to adapt, of q, k, v, o, fc1, fc2, with SwiGLU gate, in a CLIP projection, and
    /// of a head that pools by attention pool.q, pool.k, pool.v, pool.o, pool.fc1, pool.fc2
    #[arg(long, default_value = "q,v")]
    pub targets: String,
    /// linear: a head trained with the module. text: the features of --class-text, as they are; the
    /// base is a whole CLIP with its tokenizer
    #[arg(long, default_value = "linear", value_parser = ["linear", "text"])]
    pub head: String,
    /// What the images of a class show, for --head text: one text for every class, or several,
    /// which are averaged
    #[arg(long, value_name = "CLASS=TEXT")]
    pub class_text: Vec<String>,
    /// Adapt only the last N blocks
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub last_layers: Option<u16>,
    /// Train the lengths of the changed weights' rows too (DoRA); such modules mix but do not fuse
    #[arg(long)]
    pub dora: bool,
    /// Drop this share of what goes into the low-rank branches, in training alone
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    pub lora_dropout: f64,
    /// Train every weight of the base instead; --out is then a base with a module for it inside
    #[arg(long, conflicts_with_all = ["rank", "alpha", "targets", "last_layers", "dora",
        "lora_dropout"])]
    pub full: bool,
    /// With --full: start from random weights; BASE needs only its two configuration files
    #[arg(long, requires = "full")]
    pub from_scratch: bool,
    /// With --full: store the base's weights in f16
    #[arg(long, requires = "full")]
    pub half: bool,
    /// Share of all training groups held out to choose the best epoch and to calibrate; 0 keeps the
    /// last epoch, uncalibrated [default: the validation part that DATA states (val), else 0]
    #[arg(long, value_name = "SHARE")]
    pub validation: Option<f64>,
    /// Calibrate only on so many held-out groups of each class: fewer give a temperature that fits
    /// them and no others
    #[arg(long, value_name = "N", default_value_t = calibration::LEAST_GROUPS)]
    pub min_calibration_groups: usize,
    /// Random flips of training images: both (for histology), horizontal, vertical or none.
    /// Vertical ones turn an X-ray upside down
    #[arg(long, default_value = "horizontal", value_parser = ["both", "horizontal", "vertical",
        "none"])]
    pub flips: String,
    #[command(flatten)]
    pub fit: FitArg,
    /// Random brightness, contrast and saturation, 0 to 1
    #[arg(long, default_value_t = 0.0)]
    pub colour_jitter: f32,
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Who contributes the module
    #[arg(long, default_value = "unnamed")]
    pub contributor: String,
    /// The module's licence
    #[arg(long, default_value = "unspecified")]
    pub licence: String,
    #[command(flatten)]
    pub device: DeviceArg,
    /// The type of frozen weights and activations on a GPU; sums and what is trained stay f32
    #[arg(long, default_value = "f32", value_parser = ["f32", "f16"])]
    pub precision: String,
    /// What the process may take, on a GPU together with the GPU's own memory: bytes, or like
    /// 800MiB or 6GiB [default: no bound]
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// Say what would be done, time two steps on random pixels, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// With --dry-run: print JSON
    #[arg(long, requires = "dry_run")]
    pub json: bool,
    /// Count and time what the second step asks of the GPU, and print it
    #[arg(long)]
    pub profile: bool,
    /// Also write a page that opens anywhere and loads nothing
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Go on from the checkpoint of a run that was stopped
    #[arg(long)]
    pub resume: bool,
    /// Replace what stands at --out and --report, and without --resume forget a checkpoint
    #[arg(long)]
    pub force: bool,
}
