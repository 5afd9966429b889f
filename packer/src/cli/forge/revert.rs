//! `packer forge revert`: a contributor leaves.

use std::path::PathBuf;

use super::{At, Version};
use crate::export::keys;
use crate::forge::recipe::Recipes;
use crate::{Error, output};

/// Take out the contribution that an item added: the next item is made again from those that stay.
/// The history is kept
#[derive(clap::Args)]
#[command(after_help = "Example:\n  packer forge revert F v2 --key forge.key\n\n\
    The method and its settings are the newest item's. What was pushed stays in the store and in \
    the history.")]
pub struct Args {
    #[command(flatten)]
    at: At,
    /// The item that added it
    #[arg(value_name = "vN")]
    item: Version,
    /// The forge's key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

pub fn run(args: Args) -> Result<(), Error> {
    let key = keys::read_secret(&args.key)?;
    let forge = args.at.open()?;
    let recipes = Recipes::new(&forge, &|_, _| ());
    let item = forge.revert(args.item.0, &|settings| recipes.recorded(settings), &key)?;
    let name = item.manifest().removed.as_ref().map_or("", |member| &member.name);
    let (number, members) = (item.manifest().number, item.manifest().members);
    output::print(&format!("v{number}: {name} left, {members} members, {}\n", item.id()))
}
