//! `packer forge skip`: a contribution that waits is passed over.

use std::path::PathBuf;

use super::At;
use crate::export::keys;
use crate::{Error, output};

/// Pass over the next push, such as one that cannot be merged: the next item is the same model
/// without it
#[derive(clap::Args)]
#[command(after_help = "Example:\n  packer forge skip F 3 --key forge.key\n\n\
    3 is the push that `packer forge merge` names. The contribution stays in the store and in the \
    history; its contributor may push\n\
    a newer one.")]
pub struct Args {
    #[command(flatten)]
    at: At,
    /// The number of the push, which must be the next to be merged
    #[arg(value_name = "PUSH")]
    push: u64,
    /// The forge's key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

pub fn run(args: Args) -> Result<(), Error> {
    let key = keys::read_secret(&args.key)?;
    let item = args.at.open()?.skip(args.push, &key)?;
    let name = item.manifest().removed.as_ref().map_or("", |member| &member.name);
    let (number, members) = (item.manifest().number, item.manifest().members);
    output::print(&format!("v{number}: {name} passed over, {members} members, {}\n", item.id()))
}
