//! `packer forge compare`: every method on the members of an item, side by side.

use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};

use super::{At, Version};
use crate::cli::input::folders;
use crate::forge::compare::{Question, compare};
use crate::forge::recipe::Recipes;
use crate::output::Places;
use crate::{Error, output};

/// Compare all methods on the members of an item: on their condensed sets, and on real images where
/// you have some
#[derive(clap::Args)]
#[command(after_help = "Example:\n  packer forge compare F --data breast=data/breast --data \
                  lung=data/lung --html compare.html\n\n\
    Nothing is written to the forge. Rows are named as `packer forge merge --method` takes them, \
    with that command's usual numbers;\n\
    \"this item\" comes first, and \"each its own module\" last as the reference. Condensed sets \
    are what searches saw, so only real\n\
    images of patients who are in no module's training tell how good a method is; who chooses by \
    them has spent them.")]
pub struct Args {
    #[command(flatten)]
    at: At,
    /// The item [default: the newest]
    #[arg(value_name = "vN")]
    item: Option<Version>,
    /// Real images of a task, of which the test split is asked about; repeat it for more tasks
    #[arg(long, value_name = "TASK=DIR")]
    data: Vec<String>,
    /// Also merge with each task's head fitted again on its condensed set
    #[arg(long)]
    refit: bool,
    /// Only these methods, such as average,ties,fusion,mixture,routed [default: all]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    methods: Vec<String>,
    /// Also write a page that opens anywhere and loads nothing
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// With --html: replace its file
    #[arg(long, requires = "html")]
    force: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Of searches, of methods that draw, and of the bootstrap
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Bootstrap resamples of whole groups
    #[arg(long, default_value_t = 1000,
        value_parser = clap::value_parser!(u32).range(100..=100_000))]
    resamples: u32,
}

pub fn run(args: Args, places: &Places) -> Result<(), Error> {
    let page =
        args.html.as_ref().map(|path| places.file("--html", path, args.force)).transpose()?;
    let data = folders("--data", &args.data)?;
    let forge = args.at.open()?;
    let item = super::item(&forge, args.item)?;
    let (methods, resamples) = (&args.methods, args.resamples as usize);
    let question = Question { data: &data, methods, refit: args.refit, seed: args.seed, resamples };

    let style = ProgressStyle::with_template("{bar:30} {pos} of {len}, {prefix} {msg}");
    let bar =
        ProgressBar::no_length().with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let step = |done: usize, of: usize| bar.set_message(format!("({done} of {of})"));
    let comparison =
        compare(Recipes::new(&forge, &step), &item, &question, &|done, count, name| {
            bar.set_length(count as u64);
            bar.set_position(done as u64);
            bar.set_prefix(name.to_owned());
            bar.set_message("");
        })?;
    bar.finish_and_clear();
    if let Some(page) = &page {
        comparison.page().write(page)?;
    }
    if args.json {
        let json = serde_json::to_string_pretty(&comparison).expect("a comparison is plain data");
        output::print(&format!("{json}\n"))
    } else {
        output::print(&comparison.table())
    }
}
