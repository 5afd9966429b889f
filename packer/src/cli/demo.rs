//! `packer demo`: everything from images to a verified classification, on synthetic tissue, with nothing but this program.

use std::path::PathBuf;

use crate::Error;
use crate::base::embedded::PHANTOM_SEED;
use crate::demo::{self, Options};

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
    #[arg(long, default_value_t = 6, hide = true, value_parser = clap::value_parser!(u16).range(1..=1000))]
    epochs: u16,
}

pub fn run(args: Args) -> Result<(), Error> {
    let options = Options { images: args.images, epochs: args.epochs.into(), seed: args.seed, force: args.force };
    let mut number = 0;
    let demo = demo::run(&args.out, &options, |what| {
        number += 1;
        eprintln!("{number}/{}  {what}", demo::STAGES);
    })?;
    let at = |name: &str| args.out.join(name).display().to_string();
    println!("{}", demo.table());
    println!("Report: {}\n\nTry next:", at("report.html"));
    println!("  packer verify {} --trust {}", at("demo.medforge"), at("k.pub"));
    println!("  packer inspect {}", at("demo.medforge"));
    println!(
        "  packer classify {} --trust {} --task tissue-a {}",
        at("demo.medforge"),
        at("k.pub"),
        at("images/a-*.png")
    );
    let other = (args.seed.wrapping_add(1)..).find(|&seed| seed != PHANTOM_SEED).unwrap_or_default();
    println!("  packer phantom --out {} --hospital b --images 120 --size 64 --seed {other}", at("more"));
    println!("  packer eval --base {} --module {} --data {}", at("base"), at("m/tissue-a"), at("more"));
    Ok(())
}
