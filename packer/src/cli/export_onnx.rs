//! `packer export-onnx`: a base as a self-contained ONNX file for other runtimes.

use std::path::PathBuf;

use crate::base::Vit;
use crate::export::onnx::Graph;
use crate::output::Places;
use crate::{Error, output};

/// Write a base as an ONNX file with its weights inside, for other runtimes
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  packer export-onnx --base vits14 --size 224 --out vits14.onnx\n\n\
    Inputs: pixels [N, 3, S, S], normalised, and SITE.lora_a [N, in, R], SITE.lora_b [N, R, out] \
    and\n\
    SITE.lora_scale [N, 1, out], ones but for DoRA, for every site;\n\
    R = 0 leaves a site as it is. Output: feature [N, D]."
)]
pub struct Args {
    /// A folder of Hugging Face (clip, dinov2 or vit) or timm
    #[arg(long, value_name = "DIR")]
    base: PathBuf,
    /// Side of the input in pixels [default: what the base's preprocessor says]
    #[arg(long)]
    size: Option<u32>,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Replace --out
    #[arg(long)]
    force: bool,
}

pub fn run(args: Args, places: &Places) -> Result<(), Error> {
    let out = places.file("--out", &args.out, args.force)?;
    let vit = Vit::open(&args.base)?;
    let size = args.size.unwrap_or(vit.preprocessing.output_size().height);
    out.write(&Graph::new(&vit, size)?.self_contained())?;
    output::print(&format!("{}: ONNX graph for {size} x {size} pixels\n", args.out.display()))
}
