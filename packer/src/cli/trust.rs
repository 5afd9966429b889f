//! `packer trust`: the file that says whose signatures count, and its successor.

use std::path::PathBuf;

use medforge_runtime::bundle::LONGEST_TRUST;

use super::trusted::moment;
use crate::export::{keys, signing};
use crate::output::Places;
use crate::{Error, input, output};

/// Check a trust file, or put the next version in its place
#[derive(clap::Args)]
#[command(after_help = "Example:\n  packer trust trust.toml\n  \
    packer trust trust.toml --next next.toml --signatures next.sig\n\n\
    The next version must be signed by enough maintainers of both files (`packer sign next.toml \
    --key k.key --out next.sig`);\n\
    only then does it replace trust.toml, which nobody checks when it is first given: hand it over \
    in person.")]
pub struct Args {
    /// The trust file in use
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The trust file that is to take its place
    #[arg(long, value_name = "FILE", requires = "signatures")]
    next: Option<PathBuf>,
    /// The signatures on it
    #[arg(long, value_name = "FILE", requires = "next")]
    signatures: Option<PathBuf>,
    /// The time to check by, such as 2026-01-31T23:59:59Z, or `unknown` on a device without a clock
    /// [default: this machine's clock]
    #[arg(long, value_name = "TIME")]
    now: Option<String>,
}

pub fn run(args: Args, places: &Places) -> Result<(), Error> {
    let trust = keys::read_trust(&args.file)?;
    let (Some(next), Some(signatures)) = (&args.next, &args.signatures) else {
        return output::print(&format!(
            "{}: trust file, version {}\n",
            args.file.display(),
            trust.version()
        ));
    };
    let place = places.updated("FILE", &args.file)?;
    let bytes = input::read(next, LONGEST_TRUST as u64)?;
    let signatures = input::read(signatures, signing::LONGEST)?;
    let successor = trust.successor(&bytes, &signatures, moment(args.now.as_deref())?);
    let successor = successor.map_err(|source| Error::TrustFile { path: next.clone(), source })?;
    place.write(&bytes)?;
    output::print(&format!(
        "{}: version {} is in its place\n",
        args.file.display(),
        successor.version()
    ))
}
