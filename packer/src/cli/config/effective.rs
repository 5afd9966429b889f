//! Where each option's value comes from.

use clap::parser::ValueSource;
use clap::{ArgMatches, Command};
use serde::Serialize;

use super::added::FileOptions;
use super::names::{innermost, options};

/// An option of the command that runs, with its values.
#[derive(Debug, Serialize)]
pub struct Effective {
    /// Without dashes.
    pub name: String,
    pub values: Vec<String>,
    /// `command line`, `default`, or the file.
    pub from: String,
}

/// Every option of the innermost command, with where it comes from.
pub fn effective(
    root: &Command,
    matches: &ArgMatches,
    from: Option<&FileOptions>,
) -> Vec<Effective> {
    let (command, matches) = innermost(root, matches);
    let list = options(command).filter_map(|arg| {
        let id = arg.get_id().as_str();
        let name = arg.get_long()?.to_owned();
        let values: Vec<String> =
            matches.get_raw(id)?.map(|value| value.to_string_lossy().into_owned()).collect();
        let in_file = from.filter(|from| from.options.iter().any(|(_, key, _)| *key == name));
        let source = match (in_file, matches.value_source(id)?) {
            (Some(from), _) => from.path.display().to_string(),
            (None, ValueSource::DefaultValue) => "default".into(),
            (None, _) => "command line".into(),
        };
        Some(Effective { name, values, from: source })
    });
    list.collect()
}
