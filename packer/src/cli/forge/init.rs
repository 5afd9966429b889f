//! `packer forge init`: an empty forge for one base.

use std::path::PathBuf;

use crate::base::Vit;
use crate::export::keys;
use crate::forge::{Forge, read_contributors};
use crate::{Error, output};

/// Make a forge: for which base, who may contribute, and the key that signs its items
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  packer forge init F --base vits14 --trust contributors.toml --key \
                  forge.key\n\n\
    contributors.toml names each contributor, as their modules' cards do, and their one key:\n\n  \
    [[contributor]]\n  name = \"Hospital A\"\n  key = \"a.pub\"        # a file beside this one; \
    or the PEM itself, or 64 hex digits\n\n\
    The base's files become part of the forge."
)]
pub struct Args {
    /// The forge to make: a folder or an address
    #[arg(value_name = "F")]
    forge: String,
    /// The base that all modules adapt
    #[arg(long, value_name = "DIR")]
    base: PathBuf,
    /// Who may contribute, with which key
    #[arg(long, value_name = "FILE")]
    trust: PathBuf,
    /// The forge's key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

pub fn run(args: Args) -> Result<(), Error> {
    let contributors = read_contributors(&args.trust)?;
    let key = keys::read_secret(&args.key)?;
    let base = Vit::open(&args.base)?;
    let forge = Forge::init(&args.forge, &base, &contributors, &key)?;
    let root = forge.root();
    output::print(&format!(
        "{}: forge for the base {}\n{} contributors; items are signed by {}\n",
        args.forge,
        root.base_digest,
        root.contributors.len(),
        root.key
    ))
}
