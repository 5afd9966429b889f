//! `packer phantom`: writes synthetic tissue images with their classes, patients and splits.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::data::phantom::{self, HOSPITALS, Hospital};
use crate::output::Places;
use crate::{Error, output};

/// Draws synthetic tissue images, for trying things out without any patient's data
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  packer phantom --out phantom --hospital all --images 600 --size 96 \
                  --seed 0"
)]
pub struct Args {
    /// The folder to write: HOSPITAL/CLASS/NUMBER.png and splits.csv
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Whose stain and scanner: one hospital, or all three in one data set
    #[arg(long, value_enum, default_value = "a")]
    hospital: Which,
    /// How many images of each hospital
    #[arg(long, default_value_t = 600, value_name = "N")]
    images: usize,
    /// Width and height in pixels
    #[arg(long, default_value_t = 96, value_name = "PIXELS")]
    size: usize,
    /// The same seed gives the same bytes
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Replace the folder if it exists
    #[arg(long)]
    force: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Which {
    A,
    B,
    C,
    All,
}

pub fn run(args: Args, places: &Places) -> Result<(), Error> {
    let hospitals: Vec<&'static Hospital> = match args.hospital {
        Which::A => vec![&HOSPITALS[0]],
        Which::B => vec![&HOSPITALS[1]],
        Which::C => vec![&HOSPITALS[2]],
        Which::All => HOSPITALS.iter().collect(),
    };
    let out = places.folder("--out", &args.out, args.force, phantom::MARKER)?;
    let count = phantom::write(out, &hospitals, args.images, args.size, args.seed)?;
    let classes = phantom::CLASSES.len();
    output::print(&format!(
        "{count} images of {classes} classes written to {}\n",
        args.out.display()
    ))
}
