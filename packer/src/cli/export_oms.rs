//! `packer export-oms`: a verified bundle's files, signed for the tools of OpenSSF Model Signing.

use std::path::PathBuf;

use super::trusted::TrustArgs;
use crate::export::oms;
use crate::output::Places;
use crate::{Error, output};

/// Write a bundle's files as a folder that OpenSSF's `model_signing` verifies
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out \
                  ec.key\n  \
    packer export-oms breast.medforge --trust k.pub --ec-key ec.key --out breast-oms\n\n\
    Its tool knows no Ed25519, so the folder is signed by a P-256 key; devices go on verifying the \
    bundle itself."
)]
pub struct Args {
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    #[command(flatten)]
    trusted: TrustArgs,
    /// The P-256 key (PKCS#8 PEM) that signs the folder
    #[arg(long, value_name = "KEY")]
    ec_key: PathBuf,
    /// The folder to write
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Replace --out
    #[arg(long)]
    force: bool,
}

pub fn run(args: Args, places: &Places) -> Result<(), Error> {
    args.trusted.forgets()?;
    let out = places.folder("--out", &args.out, args.force, oms::SIGNATURE)?;
    let key = oms::read_key(&args.ec_key)?;
    let files = args.trusted.open(&args.bundle, places, |bundle, _| oms::files(&bundle, &key))?;
    let dir = out.begin()?;
    for (name, bytes) in files {
        dir.write(&name, &bytes)?;
    }
    dir.commit()?;
    output::print(&format!("{}: signed as {}\n", args.out.display(), oms::SIGNATURE))
}
