//! `packer.toml`: options from a file, where the command line leaves them out.
//!
//! A table is a subcommand (`[train]`, `[forge.merge]`), a key a long option without its dashes.
//! Options of packer itself stand above all tables. The whole file is checked at every call.
//!
//! Refused are unknown tables and keys, and values of another type. The error says the file, the
//! table, the key and the nearest known name. In a file that no --config names, options that decide
//! what is trusted or that consent to something are refused too.

use std::ffi::OsString;
use std::io::Write;

use clap::{CommandFactory, FromArgMatches};

use super::{Cli, places};
use crate::output::Places;
use crate::{Error, output};

mod added;
mod effective;
mod file;
mod line;
mod names;

pub use effective::Effective;

use added::{FILE, extend};
use effective::effective;
use names::innermost;

/// The command line with the options of the file. A mistake on the command line itself ends the
/// process, as clap does.
///
/// # Errors
/// [`Error::Config`]: what this module refuses. [`Error::Io`]: a file that --config names and that
/// cannot be read.
pub(super) fn parse(arguments: Vec<OsString>) -> Result<(Cli, Vec<Effective>, Places), Error> {
    let mut command = Cli::command();
    command.build();
    let (arguments, from) = extend(&command, arguments)?;
    let matches = Cli::command().try_get_matches_from(arguments);
    let (matches, cli) = match matches.and_then(|m| Cli::from_arg_matches(&m).map(|cli| (m, cli))) {
        Ok(both) => both,
        Err(error) => {
            return Err(from
                .and_then(|given| given.explain(&error))
                .unwrap_or_else(|| end(&error)));
        }
    };
    if let Some(from) = &from {
        let words: Vec<_> = from.options.iter().map(|(_, _, word)| word.as_str()).collect();
        output::say(&format!("from {}: {}", from.path.display(), words.join(" ")));
    }
    let options = effective(&command, &matches, from.as_ref());
    Ok((cli, options, places::of(innermost(&command, &matches), FILE)))
}

/// Prints clap's message or help and ends the process. Returns only where help could not be
/// written.
fn end(error: &clap::Error) -> Error {
    let said = error.print().and_then(|()| std::io::stdout().flush());
    match output::arrived(said) {
        Err(lost) if !error.use_stderr() => lost,
        _ => std::process::exit(error.exit_code()),
    }
}
