//! `packer completions`.

use crate::Error;

#[derive(clap::Args)]
pub struct Args {}

pub fn run(_args: Args) -> Result<(), Error> {
    Ok(())
}
