//! `packer forge merge`: what was pushed becomes forge items.

use std::path::PathBuf;

use super::At;
use super::method::{How, bar};
use crate::export::keys;
use crate::forge::recipe::Recipes;
use crate::{Error, output};

/// Merge what was pushed and is not merged yet, one contribution at a time, each giving the next
/// forge item
#[derive(clap::Args)]
#[command(after_help = "Example:\n  packer forge merge F --key forge.key\n  \
    packer forge merge F --again --method ties --key forge.key\n\n\
    --again makes the next item of the newest item's members by another method, from the first \
    member on; what waits goes on waiting.")]
pub struct Args {
    #[command(flatten)]
    at: At,
    /// The forge's key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Merge the newest item's members again, by this method; take nothing new
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    how: How,
}

pub fn run(args: Args) -> Result<(), Error> {
    let key = keys::read_secret(&args.key)?;
    let forge = args.at.open()?;
    let bar = bar();
    let step = |done: usize, of: usize| {
        bar.set_length(of as u64);
        bar.set_position(done as u64);
    };
    let recipes = Recipes::new(&forge, &step);
    let method = recipes.method(args.how.settings(&forge)?)?;
    if args.again {
        let item = forge.merge_again(&method, &key)?;
        bar.finish_and_clear();
        let (number, members) = (item.manifest().number, item.manifest().members);
        return output::print(&format!(
            "v{number}: the same {members} members merged again, {}\n",
            item.id()
        ));
    }
    let mut merged = false;
    while let Some(item) = forge.merge(&method, &key)? {
        bar.reset();
        merged = true;
        let (number, members) = (item.manifest().number, item.manifest().members);
        let name = item.manifest().added.as_ref().map_or("", |member| &member.name);
        output::print(&format!("v{number}: {name} merged, {members} members, {}\n", item.id()))?;
    }
    if merged { Ok(()) } else { output::print("nothing was pushed that is not merged\n") }
}
