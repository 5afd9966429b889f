//! `packer forge merge`: what was pushed becomes forge items.

use std::path::PathBuf;

use super::{At, Method};
use crate::export::keys;
use crate::{Error, output};

/// Merge what was pushed and is not merged yet, one contribution at a time, each giving the next forge item
#[derive(clap::Args)]
#[command(after_help = "Example:\n  packer forge merge F --key forge.key")]
pub struct Args {
    #[command(flatten)]
    at: At,
    /// The forge's key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[arg(long, value_enum, default_value = "average")]
    method: Method,
}

pub fn run(args: Args) -> Result<(), Error> {
    let key = keys::read_secret(&args.key)?;
    let forge = args.at.open()?;
    let method = args.method.merge();
    let mut merged = false;
    while let Some(item) = forge.merge(&*method, &key)? {
        merged = true;
        let (number, members) = (item.manifest().number, item.manifest().members);
        let name = item.manifest().added.as_ref().map_or("", |member| &member.name);
        output::print(&format!("v{number}: {name} merged, {members} members, {}\n", item.id()))?;
    }
    match merged {
        true => Ok(()),
        false => output::print("nothing was pushed that is not merged\n"),
    }
}
