//! The options that become the settings of a condensation.

use clap::ValueEnum;

use crate::Error;
use crate::cli::input::within;
use crate::condense::{CondenseSettings, Matching, Target};
use crate::data::{Labels, Start};

/// The settings of a condensation.
#[derive(clap::Args)]
pub struct Recipe {
    /// Synthetic images of each class
    #[arg(long, value_name = "N")]
    pub per_class: usize,
    /// Side of the images in pixels [default: what the base's preprocessor says]
    #[arg(long)]
    pub size: Option<u32>,
    #[arg(long, default_value_t = 1000)]
    pub iterations: usize,
    /// Synthetic images of an iteration
    #[arg(long, default_value_t = 32)]
    pub batch: usize,
    /// Length of the first step, as a share of the image coefficients' spread
    #[arg(long, default_value_t = 0.04)]
    pub lr: f64,
    #[arg(long, default_value_t = 0.9)]
    pub momentum: f64,
    /// Augmented views of the real images, measured once
    #[arg(long, default_value_t = 24)]
    pub views: usize,
    /// Random views for real and synthetic images alike, or the images as they are
    #[arg(long, value_enum, default_value_t = AugmentArg::Siamese)]
    pub augment: AugmentArg,
    /// What is matched: the CLS feature, also the tokens' means at --blocks blocks, also their
    /// deviations [default: moments; feature with --epsilon]
    #[arg(long = "match", value_enum)]
    pub matching: Option<MatchArg>,
    /// Blocks whose tokens are matched, evenly spread
    #[arg(long, default_value_t = 6)]
    pub blocks: usize,
    /// Match each image to a cluster of its class, or all of a class together to its mean [default:
    /// cluster; class with --epsilon]
    #[arg(long, value_enum)]
    pub targets: Option<TargetArg>,
    /// How strongly the networks that the set is matched under are perturbed, as a share of their
    /// weights' norm
    #[arg(long, default_value_t = 0.0)]
    pub perturbation: f64,
    /// Weight of a ridge classifier, fitted on the synthetic and tested on the real features
    /// [default: 3; 0 with --epsilon]
    #[arg(long)]
    pub ridge: Option<f64>,
    /// What the pixels start from; `real` is for research and shows patients' images
    #[arg(long = "init", value_enum, default_value_t = StartArg::Noise)]
    pub start: StartArg,
    /// One class for each image, or the module's probabilities
    #[arg(long, value_enum, default_value_t = LabelsArg::Hard)]
    pub labels: LabelsArg,
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum AugmentArg {
    Siamese,
    None,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum MatchArg {
    Feature,
    Mean,
    Moments,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum TargetArg {
    Class,
    Cluster,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum StartArg {
    Noise,
    Real,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum LabelsArg {
    Hard,
    Soft,
}

/// Real images of each class whose statistics are kept.
const REAL_PER_CLASS: usize = 512;

impl Recipe {
    /// The settings, with the size still to be filled in.
    pub fn settings(&self, private: bool) -> Result<CondenseSettings, Error> {
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
