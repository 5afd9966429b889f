//! `packer forge`: contributions in, forge items out; one file per subcommand.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Subcommand;
use medforge_runtime::bundle::Verified;

use super::trusted::{moment, read_trust_at};
use crate::Error;
use crate::forge::{Forge, Item};
use crate::output::Places;

mod bundle;
mod compare;
mod init;
mod log;
mod merge;
mod method;
mod push;
mod restore;
mod revert;
mod show;
mod skip;
mod verify;

/// Merge contributions one after another into the next forge item, with a history that anybody can
/// verify
#[derive(Subcommand)]
#[command(after_help = "Example:\n  \
    packer forge init F --base vits14 --trust contributors.toml --key forge.key\n  \
    packer forge push F breast.contribution\n  \
    packer forge merge F --key forge.key\n  \
    packer forge log F\n\n\
    F is a folder, or s3://BUCKET/PATH, gs://... or az://... where packer was built for it \
    (--features s3).")]
pub enum Command {
    Init(init::Args),
    Push(push::Args),
    Merge(merge::Args),
    Log(log::Args),
    Show(show::Args),
    Revert(revert::Args),
    Restore(restore::Args),
    Skip(skip::Args),
    Verify(verify::Args),
    Compare(compare::Args),
    Bundle(bundle::Args),
}

pub fn run(command: Command, places: &Places) -> Result<(), Error> {
    match command {
        Command::Init(args) => init::run(args),
        Command::Push(args) => push::run(args),
        Command::Merge(args) => merge::run(args),
        Command::Log(args) => log::run(args),
        Command::Show(args) => show::run(args),
        Command::Revert(args) => revert::run(args),
        Command::Restore(args) => restore::run(args),
        Command::Skip(args) => skip::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Compare(args) => compare::run(args, places),
        Command::Bundle(args) => bundle::run(args, places),
    }
}

/// Which forge, and the key that it must have.
#[derive(clap::Args)]
struct At {
    /// The forge: a folder or an address
    #[arg(value_name = "F")]
    forge: String,
    /// The forge's public key as you got it from its keeper; without it, the one that the forge
    /// names is believed
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
}

impl At {
    fn open(&self) -> Result<Forge, Error> {
        let trust =
            self.trust.as_deref().map(|path| read_trust_at(path, moment(None)?)).transpose()?;
        Forge::open(&self.forge, trust.as_ref())
    }
}

/// The item that was asked for, or the newest.
fn item(forge: &Forge, version: Option<Version>) -> Result<Verified<Item>, Error> {
    match version {
        Some(version) => forge.item(version.0),
        None => forge.tip()?.ok_or(Error::NoItem { number: 1, newest: 0 }),
    }
}

/// `v2` as 2.
#[derive(Clone, Copy)]
struct Version(u64);

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text
            .strip_prefix('v')
            .and_then(|number| number.parse().ok())
            .filter(|number| *number > 0);
        number.map(Version).ok_or_else(|| format!("{text:?} is not like v2"))
    }
}
