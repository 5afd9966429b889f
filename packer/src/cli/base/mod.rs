//! `packer base`: what a base is, and bases in the one form that everything takes.

use clap::Subcommand;

use crate::Error;
use crate::output::Places;

mod convert;
mod inspect;
mod report;

/// Show what a base is, or write it as a folder that says everything about it
#[derive(Subcommand)]
#[command(after_help = "Example:\n  \
    packer base inspect uni2-h\n  \
    packer base convert uni2-h --out uni2 --heads 24\n\n\
    Other commands read the same files, so that a base without open questions needs no conversion.")]
pub enum Command {
    Inspect(inspect::Args),
    Convert(convert::Args),
}

pub fn run(command: Command, places: &Places) -> Result<(), Error> {
    match command {
        Command::Inspect(args) => inspect::run(&args),
        Command::Convert(args) => convert::run(&args, places),
    }
}
