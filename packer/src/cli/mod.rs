//! The command line: one file per subcommand, each turning arguments into a library call and the
//! result into words.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand};

use crate::Error;
use crate::export::keys;

mod audit_privacy;
mod base;
mod bundle;
mod check;
mod classify;
mod completions;
mod condense;
mod config;
mod contribute;
mod cut;
mod demo;
mod device;
mod devices;
mod eval;
mod export_oms;
mod export_onnx;
mod forge;
pub mod hints;
mod import;
mod input;
mod inspect;
mod keep;
mod keygen;
mod merge;
mod pace;
mod phantom;
mod places;
#[cfg(feature = "gpu")]
mod profile;
#[cfg(not(feature = "gpu"))]
#[path = "no_profile.rs"]
mod profile;
mod sign;
mod train;
mod trust;
mod trusted;
mod verify;

/// Builds medical imaging models together without sharing images: train, evaluate, pack, verify,
/// classify.
#[derive(Parser)]
#[command(
    name = "packer",
    version,
    about,
    arg_required_else_help = true,
    after_help = "Options may also come from packer.toml in the working directory, or from \
                  --config FILE: a table is a command ([train],\n\
    [forge.merge]), a key a long option without dashes, an array a repeated option, true a flag. \
    The command line wins.\n\n  \
    [train]\n  \
    base = \"vits14\"\n  \
    memory = \"6GiB\""
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Where the pass phrase of an encrypted key comes from: the first line of this file descriptor
    /// [default: the terminal]
    #[arg(long, global = true, value_name = "N")]
    passphrase_fd: Option<u32>,
    /// Take options that are not given here from this file [default: packer.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    Keygen(keygen::Args),
    #[command(subcommand)]
    Base(base::Command),
    Check(check::Args),
    Train(train::Args),
    Import(import::Args),
    Condense(condense::Args),
    AuditPrivacy(audit_privacy::Args),
    Contribute(contribute::Args),
    Eval(eval::Args),
    Merge(merge::Args),
    ExportOms(export_oms::Args),
    ExportOnnx(export_onnx::Args),
    #[command(subcommand)]
    Forge(forge::Command),
    Bundle(bundle::Args),
    Sign(sign::Args),
    Trust(trust::Args),
    Verify(verify::Args),
    Inspect(inspect::Args),
    Classify(classify::Args),
    Demo(demo::Args),
    Devices(devices::Args),
    Phantom(phantom::Args),
    Completions(completions::Args),
}

/// The command line's own definition, with every subcommand.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs what the command line asks for; its first word is the program's name.
pub fn run(arguments: Vec<OsString>) -> Result<(), Error> {
    let (cli, options, places) = config::parse(arguments)?;
    let places = &places;
    if let Some(fd) = cli.passphrase_fd {
        let _ = keys::PASSPHRASE_FD.set(fd);
    }
    match cli.command {
        Command::Keygen(args) => keygen::run(args),
        Command::Base(command) => base::run(command, places),
        Command::Check(args) => check::run(args),
        Command::Train(args) => train::run(args, options, places),
        Command::Import(args) => import::run(args, places),
        Command::Condense(args) => condense::run(args, places),
        Command::AuditPrivacy(args) => audit_privacy::run(args),
        Command::Contribute(args) => contribute::run(args, places),
        Command::Eval(args) => eval::run(args, places),
        Command::Merge(args) => merge::run(args, places),
        Command::ExportOms(args) => export_oms::run(args, places),
        Command::ExportOnnx(args) => export_onnx::run(args, places),
        Command::Forge(command) => forge::run(command, places),
        Command::Bundle(args) => bundle::run(args, places),
        Command::Sign(args) => sign::run(args, places),
        Command::Trust(args) => trust::run(args, places),
        Command::Verify(args) => verify::run(args, places),
        Command::Inspect(args) => inspect::run(args, places),
        Command::Classify(args) => classify::run(args, places),
        Command::Demo(args) => demo::run(args, places),
        Command::Devices(args) => devices::run(args),
        Command::Phantom(args) => phantom::run(args, places),
        Command::Completions(args) => completions::run(args, places),
    }
}
