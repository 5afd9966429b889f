//! `packer base inspect`: what a base is, how it sees images, and what training it takes.

use std::path::PathBuf;

use super::report::Report;
use crate::base::{Origin, Vit};
use crate::{Error, output};

/// Show what a base is: network, tokens, feature, images, licence, what would be trained, memory
#[derive(clap::Args)]
#[command(after_help = "Example:\n  packer base inspect vits14\n  \
    packer base inspect h-optimus-0 --json\n  \
    packer base inspect virchow2/pytorch_model.bin\n\n\
    Memory is of the processor, at the size that the base's images have, for one image and for a \
    step of LoRA (q,v, rank 8)\n\
    on 8. Nothing is written.")]
pub struct Args {
    /// A folder of Hugging Face's or timm's form, or the file of weights in one
    #[arg(value_name = "BASE")]
    base: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args) -> Result<(), Error> {
    let origin = Origin::of(&args.base)?;
    let vit = Vit::open(&args.base)?;
    let report = Report::of(&vit, origin)?;
    if args.json {
        let shown = serde_json::to_value(&report).expect("plain data");
        return output::print(&format!("{shown:#}\n"));
    }
    output::print(&report.words())
}
