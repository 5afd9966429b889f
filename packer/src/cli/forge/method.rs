//! The options of `packer forge merge` that say how. Each goes only with the methods that use it.

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};

use crate::Error;
use crate::cli::merge::Numbers;
use crate::forge::Forge;
use crate::forge::recipe::{Method, Mixture, RecipeSettings, SearchSets};
use crate::merge::fusion::{self, FusionSettings};
use crate::merge::mixture::MixtureSettings;

/// How to merge.
#[derive(clap::Args)]
pub(super) struct How {
    /// average, task-arithmetic, ties, dare-linear, dare-ties, della, breadcrumbs, svd, knots,
    /// core-space, tsv, iso-c, regmean, fusion, mixture or routed
    #[arg(long, default_value = "average")]
    method: String,
    #[command(flatten)]
    numbers: Numbers,
    /// Fusion: one weight for each side, or one for each side and site [default: whole]
    #[arg(long, value_enum)]
    level: Option<fusion::Level>,
    /// Fusion: how its weights are found [default: cma-es]
    #[arg(long, value_enum)]
    search: Option<fusion::Finder>,
    /// Fusion and mixture: how often the loss is computed [default: 40, with gradients 10]
    #[arg(long)]
    evaluations: Option<usize>,
    /// Mixture: find all weights together, not the new one beside the old ones
    #[arg(long)]
    joint: bool,
    /// Mixture: weights of its own for each task
    #[arg(long)]
    per_task: bool,
    /// Mixture: weights that are not negative and sum to one
    #[arg(long)]
    shares: bool,
    /// Fusion and mixture: search on the members' condensed sets, or on all that were pushed
    /// [default: so-far]
    #[arg(long, value_enum)]
    condensed: Option<Condensed>,
    /// Fusion and methods without data: fit each task's head again on its condensed set
    #[arg(long)]
    refit_heads: bool,
    /// Also make what tells an image's task by its looks, from the condensed sets, for callers that
    /// do not name it; routed has it anyway
    #[arg(long)]
    routing: bool,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Condensed {
    SoFar,
    All,
}

impl How {
    pub fn settings(&self, forge: &Forge) -> Result<RecipeSettings, Error> {
        let (fused, mixed) = (self.method == "fusion", self.method == "mixture");
        let free = !fused && !mixed && self.method != "routed";
        let searched = fused || mixed;
        for (name, given, fits) in [
            ("--level", self.level.is_some(), fused),
            ("--search", self.search.is_some(), fused),
            ("--evaluations", self.evaluations.is_some(), fused || (mixed && !self.shares)),
            ("--joint", self.joint, mixed),
            ("--per-task", self.per_task, mixed),
            ("--shares", self.shares, mixed),
            ("--condensed", self.condensed.is_some(), searched),
            ("--refit-heads", self.refit_heads, fused || free),
        ] {
            if given && !fits {
                return Err(Error::Option {
                    name,
                    what: format!("means nothing with --method {}", self.method),
                });
            }
        }
        if let (false, Some(name)) = (free, self.numbers.given()) {
            return Err(Error::Option {
                name,
                what: format!("means nothing with --method {}", self.method),
            });
        }
        let seed = self.numbers.seed;
        let method = match self.method.as_str() {
            "fusion" => {
                let finder = self.search.unwrap_or(fusion::Finder::CmaEs);
                let usual = if finder == fusion::Finder::CmaEs { 40 } else { 10 };
                let (level, evaluations) =
                    (self.level.unwrap_or(fusion::Level::Whole), self.evaluations.unwrap_or(usual));
                Method::Fusion(FusionSettings { level, finder, evaluations, seed })
            }
            "mixture" => {
                let (per_task, shares, evaluations) =
                    (self.per_task, self.shares, self.evaluations.unwrap_or(40));
                let search = MixtureSettings { per_task, shares, evaluations, seed };
                Method::Mixture(Mixture { joint: self.joint, search })
            }
            "routed" => Method::Routed,
            name => Method::Free(self.numbers.options(name)?),
        };
        let condensed = match self.condensed {
            Some(Condensed::All) => SearchSets::All(forge.pushes()?.len() as u64),
            _ => SearchSets::SoFar,
        };
        Ok(RecipeSettings {
            method,
            condensed,
            refit_heads: self.refit_heads,
            routing: self.routing,
        })
    }
}

/// A progress bar for searches; it shows from the first step on.
pub(super) fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("search {bar:30} {pos} of {len}, {eta} left");
    ProgressBar::no_length().with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
