//! `packer inspect`: what a bundle, a contribution or a public key says of itself. Nothing is
//! trusted, so nothing here is a promise.

use std::path::PathBuf;

use medforge_runtime::bundle::frame::LIMITS;
use medforge_runtime::bundle::{Unverified, manifest_bytes};
use serde::Deserialize;

use crate::contribution;
use crate::output::Places;
use crate::{Error, input};

mod bundle;
mod contributed;
mod key;

/// Show what is in a bundle or a contribution, without verifying who signed it, or what a public
/// key is called in trust files
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  packer inspect breast.medforge\n  packer inspect breast.contribution \
                  --pictures sheet.png\n  \
    packer inspect k.pub\n\n\
    To know who signed a bundle: packer verify."
)]
pub struct Args {
    /// A bundle, a contribution, or public keys in PEM
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Of a contribution: write the pictures of its condensed set to this PNG file, a row for each
    /// class
    #[arg(long, value_name = "FILE")]
    pictures: Option<PathBuf>,
    /// With --pictures: replace its file
    #[arg(long, requires = "pictures")]
    force: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args, places: &Places) -> Result<(), Error> {
    let pictures = args
        .pictures
        .as_ref()
        .map(|path| places.file("--pictures", path, args.force))
        .transpose()?;
    let bytes = input::read(&args.file, LIMITS.bundle as u64)?;
    if bytes.trim_ascii_start().starts_with(b"-----BEGIN ") {
        args.no_pictures("a key")?;
        return key::show(&args, &bytes);
    }
    if kind(&bytes).as_deref() == Some(contribution::FORMAT) {
        contributed::show(&args, bytes, pictures.as_ref())
    } else {
        args.no_pictures("a bundle")?;
        bundle::show(&args, bytes)
    }
}

impl Args {
    fn no_pictures(&self, of: &str) -> Result<(), Error> {
        match &self.pictures {
            Some(_) => Err(Error::Option {
                name: "--pictures",
                what: format!("is for contributions; {of} has none"),
            }),
            None => Ok(()),
        }
    }
}

/// What an archive's manifest calls its format, if it says so.
fn kind(archive: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Kind {
        format: String,
    }
    let manifest = manifest_bytes(archive).ok().filter(|bytes| bytes.len() <= LIMITS.json)?;
    serde_json::from_slice::<Kind>(&manifest).ok().map(|kind| kind.format)
}

fn signers<D>(archive: &Unverified<D>) -> Vec<String> {
    archive.signers().iter().map(|key| hex::encode(key.as_bytes())).collect()
}

/// A line of a description.
fn row(text: &mut String, key: &str, value: &str) {
    text.push_str(&format!("{key:<16}{value}\n"));
}
