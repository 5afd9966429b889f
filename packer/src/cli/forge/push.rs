//! `packer forge push`: a contribution into a forge.

use std::path::PathBuf;

use medforge_runtime::bundle::frame::LIMITS;

use super::At;
use crate::{Error, input, output};

/// Verify a contribution and put it into a forge, to be merged next
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  packer forge push F breast.contribution\n\nExit code: 0 pushed, 3 \
                  refused, 1 could not be pushed."
)]
pub struct Args {
    #[command(flatten)]
    at: At,
    #[arg(value_name = "CONTRIBUTION")]
    contribution: PathBuf,
}

pub fn run(args: Args) -> Result<(), Error> {
    let forge = args.at.open()?;
    let bytes = input::read(&args.contribution, LIMITS.bundle as u64)?;
    let (number, contribution) = forge.push(&args.contribution, bytes)?;
    let manifest = contribution.manifest();
    let mut text = format!(
        "push {number}: {}, number {}, {}\n",
        manifest.name,
        manifest.counter,
        contribution.id()
    );
    if manifest.real_start {
        text += "its condensed set started from patients' images\n";
    }
    output::print(&text)
}
