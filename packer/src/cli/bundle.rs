//! `packer bundle`: a base and modules in, one signed bundle out.

use std::path::PathBuf;

use crate::base::Vit;
use crate::export::{self, Options, keys};
use crate::lora::Module;
use crate::{Error, output};

/// Pack a base and modules into one signed bundle
#[derive(clap::Args)]
#[command(after_help = "Example:\n  packer bundle --base vits14 --module m/breast --key k.key --out breast.medforge")]
pub struct Args {
    /// The base that the modules were trained on
    #[arg(long, value_name = "DIR")]
    base: PathBuf,
    /// A module; repeat it for more tasks
    #[arg(long, value_name = "DIR", required = true)]
    module: Vec<PathBuf>,
    /// The key that signs; repeat it for more signatures
    #[arg(long, value_name = "FILE", required = true)]
    key: Vec<PathBuf>,
    /// The bundle to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// What people call the bundle [default: --out's name without its ending]
    #[arg(long)]
    name: Option<String>,
    /// Counts the releases of this name
    #[arg(long, value_name = "N", default_value_t = 1)]
    counter: u64,
    /// The id of the bundle that this one replaces
    #[arg(long, value_name = "ID")]
    predecessor: Option<String>,
    /// For whom and what the bundle is made
    #[arg(long, value_name = "TEXT", default_value = "Research. Not for diagnosis or treatment.")]
    intended_use: String,
    /// Replace --out
    #[arg(long)]
    force: bool,
}

pub fn run(args: Args) -> Result<(), Error> {
    if args.out.exists() && !args.force {
        return Err(Error::OutputExists { path: args.out });
    }
    let keys = args.key.iter().map(|path| keys::read_secret(path)).collect::<Result<Vec<_>, _>>()?;
    let vit = Vit::open(&args.base)?;
    let modules = args.module.iter().map(|dir| Module::open(dir, &vit)).collect::<Result<Vec<_>, _>>()?;
    let stem = || args.out.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let options = Options {
        name: args.name.unwrap_or_else(stem),
        counter: args.counter,
        predecessor: args.predecessor,
        intended_use: args.intended_use,
    };
    let bytes = export::build_bundle(&vit, &modules, &options, &keys)?;
    output::write_file(&args.out, &bytes)?;
    let id = medforge_runtime::bundle::inspect(bytes)?.id().to_owned();
    output::print(&format!("{}: bundle {id}\n", args.out.display()))
}
