//! The file of options: its tables and values, checked and turned into words of a command line.

use std::any::TypeId;
use std::path::Path;

use clap::{Arg, ArgAction, Command};
use medforge_runtime::words::shown;
use toml::{Table, Value};

use super::names::{below, option, options, place};
use crate::Error;

/// Options that decide who is trusted or that consent to something, such as replacing a file. A
/// file that merely lies in the working directory may not give them.
const DECIDING: [&str; 6] = ["allow-real-start", "force", "now", "quick", "state", "trust"];

/// The file of options.
pub struct File<'a> {
    pub path: &'a Path,
    /// Whether --config names it.
    pub named: bool,
}

impl File<'_> {
    pub fn refuse(&self, what: impl Into<String>) -> Error {
        Error::Config { path: self.path.to_owned(), what: what.into() }
    }

    /// Checks the table of `command`, called `name`, and all tables in it.
    pub fn check(&self, command: &Command, table: &Table, name: &str) -> Result<(), Error> {
        for (key, value) in table {
            match value {
                Value::Table(table) => {
                    let below_it = below(name, key);
                    let known = || {
                        command
                            .get_subcommands()
                            .map(Command::get_name)
                            .filter(|name| *name != "help")
                    };
                    let Some(command) = command.find_subcommand(key).filter(|_| key != "help")
                    else {
                        let what = match nearest(key, known()) {
                            Some(near) => format!("the nearest is [{}]", below(name, near)),
                            None => "see `packer --help` for the commands".into(),
                        };
                        return Err(self
                            .refuse(format!("there is no table [{}]; {what}", shown(&below_it))));
                    };
                    self.check(command, table, &below_it)?;
                }
                value => {
                    let Some(arg) = option(command, key) else {
                        let what = match nearest(key, options(command).filter_map(Arg::get_long)) {
                            Some(near) => format!("the nearest is {near}"),
                            None => "it has no options".into(),
                        };
                        return Err(self
                            .refuse(format!("{} is no option; {what}", shown(&place(name, key)))));
                    };
                    if !self.named && DECIDING.contains(&key.as_str()) {
                        let what = "may stand only in a file that --config names, since nobody \
                                    should say that unawares";
                        return Err(self.refuse(format!("{} {what}", place(name, key))));
                    }
                    self.words(name, key, arg, value)?;
                }
            }
        }
        Ok(())
    }

    /// An option as it would stand on the command line, one word for each value.
    pub fn words(
        &self,
        table: &str,
        key: &str,
        arg: &Arg,
        value: &Value,
    ) -> Result<Vec<String>, Error> {
        let wrong = |wanted: &str, found: &Value| {
            self.refuse(format!("{} must be {wanted}, and is {}", place(table, key), kind(found)))
        };
        let values = match (arg.get_action(), value) {
            (ArgAction::SetTrue, Value::Boolean(set)) => {
                return Ok(set.then(|| format!("--{key}")).into_iter().collect());
            }
            (ArgAction::SetTrue, other) => return Err(wrong("true or false", other)),
            (ArgAction::Append, Value::Array(values)) => values.iter().collect(),
            (ArgAction::Append, other) => return Err(wrong("an array", other)),
            (_, value) => vec![value],
        };
        let is = |types: &[TypeId]| types.iter().any(|id| arg.get_value_parser().type_id() == *id);
        let whole = is(&[
            TypeId::of::<usize>(),
            TypeId::of::<u64>(),
            TypeId::of::<u32>(),
            TypeId::of::<u16>(),
        ]);
        let number = is(&[TypeId::of::<f64>(), TypeId::of::<f32>()]);
        let word = |value: &Value| {
            let text = match value {
                Value::Integer(number) => number.to_string(),
                other if whole => return Err(wrong("a whole number", other)),
                Value::Float(number) => number.to_string(),
                other if number => return Err(wrong("a number", other)),
                Value::String(text) => text.clone(),
                Value::Datetime(time) => time.to_string(),
                other => return Err(wrong("a text", other)),
            };
            Ok(format!("--{key}={text}"))
        };
        values.into_iter().map(word).collect()
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a text",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a time",
        Value::Array(_) => "an array",
        Value::Table(_) => "a table",
    }
}

/// The name with the smallest edit distance from `word` (Levenshtein 1966).
fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names.min_by_key(|name| strsim::levenshtein(word, name))
}
