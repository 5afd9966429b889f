//! `packer forge restore`: a contribution comes back.

use std::path::PathBuf;

use super::{At, Version};
use crate::export::keys;
use crate::forge::recipe::Recipes;
use crate::{Error, output};

/// Bring back a contribution that was taken out, replaced or passed over: the next item has it
/// again. It needs no new signature
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  packer forge revert F v2 --key forge.key\n  packer forge restore F \
                  v2 --key forge.key\n\n\
    The method and its settings are the newest item's. Its contributor must have no other \
    contribution for the task among the members."
)]
pub struct Args {
    #[command(flatten)]
    at: At,
    /// The item that added it, took it out or passed over it
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
    let item = forge.restore(args.item.0, &|settings| recipes.recorded(settings), &key)?;
    let name = item.manifest().added.as_ref().map_or("", |member| &member.name);
    let (number, members) = (item.manifest().number, item.manifest().members);
    output::print(&format!("v{number}: {name} is back, {members} members, {}\n", item.id()))
}
