//! `packer merge`: modules of one base in, one model for all their tasks out.

use std::path::PathBuf;

use crate::base::Vit;
use crate::lora::Module;
use crate::merge::folder::{MergedModel, RECORD};
use crate::merge::overlap::overlaps;
use crate::merge::{Method, Options, merge, page};
use crate::output::Places;
use crate::{Error, output};

/// Merge modules into one set of factors with a head for each task
#[derive(clap::Args)]
#[command(after_help = "Example:\n  packer merge --base vits14 --module m/breast --module m/lung \
                  --method ties --out merged --report merged.html\n\n\
    Methods: average, task-arithmetic, ties, dare-linear, dare-ties, della, breadcrumbs, svd, \
    knots, core-space, tsv, iso-c.\n\
    OUT holds what PEFT loads, heads/TASK.safetensors, and merge.json: what was merged and how.")]
pub struct Args {
    /// The base that the modules were trained on
    #[arg(long, value_name = "DIR")]
    base: PathBuf,
    /// A module; repeat it for more tasks
    #[arg(long, value_name = "DIR", required = true)]
    module: Vec<PathBuf>,
    /// What the module's change is multiplied with, one for each --module [default: 1/n for
    /// average, else 1]
    #[arg(long, allow_negative_numbers = true)]
    weight: Vec<f64>,
    /// How the modules are merged
    #[arg(long)]
    method: String,
    #[command(flatten)]
    numbers: Numbers,
    /// Where the merged model goes
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Also write a page that opens anywhere and loads nothing
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Print the record as JSON
    #[arg(long)]
    json: bool,
    /// Replace what stands at --out and --report
    #[arg(long)]
    force: bool,
}

/// The numbers of the methods without data.
#[derive(clap::Args)]
pub(super) struct Numbers {
    /// Share of the values that a pruning method keeps [default: as the method's paper]
    #[arg(long)]
    density: Option<f64>,
    /// Share of the largest values that breadcrumbs drops [default: 0.01]
    #[arg(long)]
    outliers: Option<f64>,
    /// Distance of della's highest drop probability from its lowest [default: 0.14]
    #[arg(long)]
    window: Option<f64>,
    /// Rank of the result: exact, or the best approximation of that rank [default: exact]
    #[arg(long)]
    rank: Option<String>,
    /// What is merged: delta (exact), or factors (A and B apart, as PEFT does) [default: delta]
    #[arg(long)]
    space: Option<String>,
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
}

/// Methods of `packer forge` alone: they find their weights on condensed sets, and a module has
/// none.
const OF_FORGES: [&str; 3] = ["fusion", "mixture", "routed"];

pub fn run(args: Args, places: &Places) -> Result<(), Error> {
    if OF_FORGES.contains(&&args.method[..]) {
        let what = format!(
            "{0} needs condensed sets beside modules; it is `packer forge merge --method {0}`",
            args.method
        );
        return Err(Error::Option { name: "--method", what });
    }
    let options = Options { weights: args.weight.clone(), ..args.numbers.options(&args.method)? };
    options.check(args.module.len())?;
    let out = places.folder("--out", &args.out, args.force, RECORD)?;
    let report =
        args.report.as_ref().map(|path| places.file("--report", path, args.force)).transpose()?;
    let vit = Vit::open(&args.base)?;
    let modules =
        args.module.iter().map(|dir| Module::open(dir, &vit)).collect::<Result<Vec<_>, _>>()?;
    let modules: Vec<&Module> = modules.iter().collect();
    let merged = merge(&modules, &options, &[])?;
    let sites = report
        .as_ref()
        .map(|_| overlaps(&modules, &options.weights_of(modules.len()), &merged.sites));
    let model = MergedModel::new(merged, &modules, &options)?;
    let dir = out.begin()?;
    for (name, bytes) in model.files()? {
        dir.write(&name, &bytes)?;
    }
    dir.commit()?;
    if let (Some(report), Some(sites)) = (&report, &sites) {
        page(&model, &modules, sites).write(report)?;
    }
    if args.json {
        let json = serde_json::to_string_pretty(&model.record).expect("a record is plain data");
        return output::print(&format!("{json}\n"));
    }
    let (out, method, count) = (args.out.display(), options.method, modules.len());
    let tasks = model.tasks().collect::<Vec<_>>().join(", ");
    let (rank, kept) = (model.rank(), 100.0 * model.record.kept);
    output::print(&format!(
        "{out}: {count} modules merged by {method} (tasks {tasks}), rank {rank}, {kept:.2} % kept\n"
    ))
}

impl Numbers {
    /// The options of `method` with these numbers.
    pub fn options(&self, method: &str) -> Result<Options, Error> {
        let refuse = |name: &'static str| move |what: String| Error::Option { name, what };
        let method: Method = method.parse().map_err(refuse("--method"))?;
        let own = Options::new(method);
        let space =
            self.space.as_deref().map_or(Ok(own.space), str::parse).map_err(refuse("--space"))?;
        let rank =
            self.rank.as_deref().map_or(Ok(own.rank), str::parse).map_err(refuse("--rank"))?;
        Ok(Options {
            space,
            rank,
            density: self.density.unwrap_or(own.density),
            outliers: self.outliers.unwrap_or(own.outliers),
            window: self.window.unwrap_or(own.window),
            seed: self.seed,
            ..own
        })
    }

    /// The first that was given, but for the seed.
    pub fn given(&self) -> Option<&'static str> {
        let all = [
            ("--density", self.density.is_some()),
            ("--outliers", self.outliers.is_some()),
            ("--window", self.window.is_some()),
            ("--rank", self.rank.is_some()),
            ("--space", self.space.is_some()),
        ];
        all.into_iter().find(|(_, given)| *given).map(|(name, _)| name)
    }
}
