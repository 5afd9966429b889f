//! `packer demo`: everything from images to a verified classification, on synthetic tissue, with
//! nothing but this program.

use std::path::PathBuf;

use crate::base::embedded::PHANTOM_SEED;
use crate::demo::{self, Options};
use crate::output::Places;
use crate::{Error, output};

/// Try everything on synthetic images: three hospitals, three modules, one signed bundle, a report
#[derive(clap::Args)]
#[command(after_help = "Example:\n  packer demo --out demo-out\n\nThen open demo-out/report.html.")]
pub struct Args {
    /// The folder to write
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Draws other patients and other initial weights
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Replace the folder if it exists
    #[arg(long)]
    force: bool,
    /// Images of each hospital
    #[arg(long, default_value_t = 400, hide = true)]
    images: usize,
    #[arg(long, default_value_t = 6, hide = true,
        value_parser = clap::value_parser!(u16).range(1..=1000))]
    epochs: u16,
}

pub fn run(args: Args, places: &Places) -> Result<(), Error> {
    let options = Options { images: args.images, epochs: args.epochs.into(), seed: args.seed };
    let out = places.folder("--out", &args.out, args.force, demo::MARKER)?;
    let mut number = 0;
    let demo = demo::run(out, &options, |what| {
        number += 1;
        output::say(&format!("{number}/{}  {what}", demo::STAGES));
    })?;
    let at = |name: &str| args.out.join(name).display().to_string();
    let other =
        (args.seed.wrapping_add(1)..).find(|&seed| seed != PHANTOM_SEED).unwrap_or_default();
    let (bundle, key, more) = (at("demo.medforge"), at("k.pub"), at("more"));
    output::print(&format!(
        "{}\nReport: {}\n\nTry next:\n  packer verify {bundle} --trust {key}\n  packer inspect \
         {bundle}\n  \
         packer classify {bundle} --trust {key} --task tissue-a {}\n  \
         packer phantom --out {more} --hospital b --images 120 --size 64 --seed {other}\n  \
         packer eval --base {} --module {} --data {more}\n",
        demo.table(),
        at("report.html"),
        at("images/a-*.png"),
        at("base"),
        at("m/tissue-a"),
    ))
}
