//! The paths that a command line names, so that no output takes the place of another argument.

use std::any::TypeId;
use std::ffi::OsStr;
use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command};

use crate::output::{Place, Places};

/// The options that name an output. Every other path is read.
const OUTPUTS: [&str; 9] = [
    "explain",
    "export-request",
    "html",
    "man",
    "out",
    "pictures",
    "predictions",
    "report",
    "state",
];

/// The paths on the command line, and the file of options.
pub(super) fn of((command, matches): (&Command, &ArgMatches), config: &str) -> Places {
    let mut places: Vec<Place> =
        command.get_arguments().flat_map(|arg| named(arg, matches)).collect();
    places.push(Place { name: "--config".into(), path: config.into(), output: false });
    Places(places)
}

fn named(arg: &Arg, matches: &ArgMatches) -> Vec<Place> {
    let value =
        arg.get_value_names().and_then(|names| names.first()).map_or("", |name| name.as_str());
    let is_path = arg.get_value_parser().type_id() == TypeId::of::<PathBuf>() || value == "F";
    let after_task = value == "TASK=DIR";
    if !is_path && !after_task {
        return Vec::new();
    }
    let path = |text: &OsStr| match text.to_str().and_then(|text| text.split_once('=')) {
        Some((_, path)) if after_task => path.into(),
        _ => text.into(),
    };
    let place = |text: &OsStr| Place {
        name: arg.get_long().map_or_else(|| value.to_owned(), |long| format!("--{long}")),
        path: path(text),
        output: arg.get_long().is_some_and(|long| OUTPUTS.contains(&long)),
    };
    matches.get_raw(arg.get_id().as_str()).into_iter().flatten().map(place).collect()
}
