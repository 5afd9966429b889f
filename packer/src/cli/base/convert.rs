//! `packer base convert`: a base of any form in, a folder of Hugging Face's form out.

use std::path::PathBuf;

use medforge_runtime::tensors::Dtype;

use super::report::crop_note;
use crate::base::{Choices, FILES, Feature, Origin, Vit};
use crate::output::Places;
use crate::{Error, output};

/// Write a base as a folder of Hugging Face's form, with what was chosen
#[derive(clap::Args)]
#[command(after_help = "Example:\n  \
    packer base convert uni2-h --out uni2 --heads 24\n  \
    packer base convert virchow2/pytorch_model.bin --out virchow2-pooled --feature class-mean\n  \
    packer base convert h-optimus-0 --out h0 --crop-pct 1\n  \
    packer base convert rad-dino --out rad-dino-224 --size 224\n  \
    packer base convert h-optimus-0 --out h0 --crop-pct 1 --dtype float16\n\n\
    Without --dtype weights are stored as they were; tables of positions in 32 bits where they are \
    changed.\n\
    Modules belong to the base that they were trained on: another feature, size or type is another \
    base.")]
pub struct Args {
    /// A folder of Hugging Face's or timm's form, or the file of weights in one
    #[arg(value_name = "BASE")]
    base: PathBuf,
    /// The folder to write
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Heads of each attention, where no file says how many there are
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    heads: Option<u16>,
    /// What becomes the feature: the class token, the mean of the patches after the last norm, the
    /// last norm of their mean, class token and mean side by side, or what a head attends to
    /// [default: as the base's files say]
    #[arg(long, value_parser = ["class", "mean", "norm-of-mean", "class-mean", "attention"])]
    feature: Option<String>,
    /// The share of an image's shorter side that is seen, above 0 up to 1 [default: as the base's
    /// files say]
    #[arg(long, value_name = "X")]
    crop_pct: Option<f64>,
    /// Side in pixels of the images that the base is for; a table of positions is interpolated
    /// [default: the base's own]
    #[arg(long, value_name = "N")]
    size: Option<u32>,
    /// Round matrices and tables to 16 bits, which halves memory and file; norms, biases and scales
    /// stay as they were [default: as the base's files have them]
    #[arg(long, value_name = "TYPE", value_parser = ["float16", "bfloat16"])]
    dtype: Option<String>,
    /// Replace --out
    #[arg(long)]
    force: bool,
}

pub fn run(args: &Args, places: &Places) -> Result<(), Error> {
    let [marker, ..] = FILES;
    let out = places.folder("--out", &args.out, args.force, marker)?;
    let refuse = |what| Error::Option { name: "--feature", what };
    let feature = args.feature.as_deref().map(str::parse::<Feature>).transpose();
    let choices = Choices {
        heads: args.heads.map(usize::from),
        feature: feature.map_err(refuse)?,
        crop_pct: args.crop_pct,
        size: args.size,
        dtype: args.dtype.as_deref().map(|name| match name {
            "float16" => Dtype::F16,
            _ => Dtype::BF16,
        }),
    };
    let vit = Vit::open_with(&args.base, &choices)?;
    let crop = Origin::of(&args.base)?.crop.filter(|_| args.crop_pct.is_none());
    let files = vit.files()?;
    let dir = out.begin()?;
    for (name, bytes) in files {
        dir.write(name, &bytes)?;
    }
    dir.commit()?;
    let (config, digest) = (&vit.config, vit.digest());
    let mut text = format!(
        "{}: {} of {} blocks, {} heads, feature {} of {} values, images of {} pixels, digest \
         {digest}\n",
        args.out.display(),
        config.family.name(),
        config.layers,
        config.heads,
        Feature::of(config).name(),
        config.features(),
        vit.preprocessing.output_size().height,
    );
    if let Some(note) = crop.and_then(crop_note) {
        text += &format!("{note}\n");
    }
    output::print(&text)
}
