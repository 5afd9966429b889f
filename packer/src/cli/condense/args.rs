//! The options of `packer condense`.

use std::path::PathBuf;

use clap::ValueEnum;

use super::recipe::Recipe;
use crate::Error;
use crate::cli::device::DeviceArg;
use crate::cli::input::{DataArg, within};
use crate::condense::privacy::{Budget, Counts, noise};

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
    pub base: PathBuf,
    #[command(flatten)]
    pub data: DataArg,
    /// The task's name: lower-case letters, digits, '.', '_', '-'
    #[arg(long)]
    pub task: String,
    /// Where the condensed set goes
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    #[command(flatten)]
    pub recipe: Recipe,
    /// The task's own module: the set is matched under it too
    #[arg(long, value_name = "DIR")]
    pub module: Option<PathBuf>,
    /// Release the classes' mean features once, so that the set is (EPSILON, DELTA)-differentially
    /// private per group
    #[arg(long, allow_negative_numbers = true)]
    pub epsilon: Option<f64>,
    /// The probability that goes with --epsilon; well below 1 / patients
    #[arg(long, default_value_t = 1e-5, requires = "epsilon", allow_negative_numbers = true)]
    pub delta: f64,
    /// With --epsilon: the fewest groups (patients) that a class may have
    #[arg(long, default_value_t = 20, requires = "epsilon")]
    pub min_groups: usize,
    /// With --epsilon: whether the number of groups in each class is public, or noised within the
    /// budget
    #[arg(long, value_enum, default_value_t = CountsArg::Public, requires = "epsilon")]
    pub counts: CountsArg,
    #[command(flatten)]
    pub device: DeviceArg,
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

#[derive(Clone, Copy, ValueEnum)]
pub enum CountsArg {
    Public,
    Noised,
}

impl Args {
    /// What may be spent of patients' privacy; none without `--epsilon`.
    pub fn budget(&self) -> Result<Option<Budget>, Error> {
        let Some(epsilon) = self.epsilon else { return Ok(None) };
        noise(epsilon, self.delta)?;
        within("--min-groups", self.min_groups as f64, 2.0, 1e9)?;
        let counts = match self.counts {
            CountsArg::Public => Counts::Public,
            CountsArg::Noised => Counts::Noised,
        };
        Ok(Some(Budget { epsilon, delta: self.delta, least_groups: self.min_groups, counts }))
    }
}
