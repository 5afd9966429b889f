//! `packer.toml`: options from a file, where the command line leaves them out.
//!
//! A table is a subcommand (`[train]`, `[forge.merge]`), a key a long option without its dashes;
//! options of packer itself stand above all tables. The whole file is checked at every call.
//! Refused, with the file, the table, the key and the nearest known name: a table or key that is
//! none, a value of another type; and in a file that no --config names, options that decide what is
//! believed, and consent.

use std::any::TypeId;
use std::collections::HashSet;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory, FromArgMatches, Id};
use medforge_runtime::words::shown;
use serde::Serialize;
use toml::{Table, Value};

use super::{Cli, places};
use crate::output::Places;
use crate::{Error, input, output};

/// The file that is read if it lies in the working directory and --config names no other.
const FILE: &str = "packer.toml";
/// The command above all others.
const PROGRAM: &str = "packer";
/// The largest that is read, in bytes.
const LIMIT: u64 = 1 << 20;

/// What decides who is believed and how far, and consent, to replace something among it: no file
/// says that by lying in the working directory.
const DECIDING: [&str; 6] = ["allow-real-start", "force", "now", "quick", "state", "trust"];

/// An option of the command that runs, as it came out.
#[derive(Debug, Serialize)]
pub struct Effective {
    /// Without dashes.
    pub name: String,
    pub values: Vec<String>,
    /// `command line`, `default`, or the file.
    pub from: String,
}

/// The command line and what the file adds to it; a fault of the command line itself ends the
/// process, as clap has it.
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

/// Says what clap has to say, help among it, and ends the process; only help that did not arrive
/// comes back.
fn end(error: &clap::Error) -> Error {
    let said = error.print().and_then(|()| std::io::stdout().flush());
    match output::arrived(said) {
        Err(lost) if !error.use_stderr() => lost,
        _ => std::process::exit(error.exit_code()),
    }
}

/// What a file gave.
struct Given {
    path: PathBuf,
    /// Table, key, and the word on the command line.
    options: Vec<(String, String, String)>,
}

impl Given {
    /// An error of clap's about an option that is the file's.
    fn explain(&self, error: &clap::Error) -> Option<Error> {
        let Some(ContextValue::String(about)) = error.get(ContextKind::InvalidArg) else {
            return None;
        };
        let name = about.split([' ', '=']).next()?.strip_prefix("--")?;
        let (table, key, _) = self.options.iter().find(|(_, key, _)| key == name)?;
        let text = error.to_string();
        let first = text.lines().next()?.trim_start_matches("error: ").to_owned();
        Some(Error::Config {
            path: self.path.clone(),
            what: format!("{}: {}", place(table, key), shown(&first)),
        })
    }
}

/// `arguments` with the file's options that it leaves out and that contradict none of its own; and
/// which these are.
fn extend(
    command: &Command,
    mut arguments: Vec<OsString>,
) -> Result<(Vec<OsString>, Option<Given>), Error> {
    let line = Line::read(command, &arguments);
    let named = line.config.is_some();
    let path = line.config.clone().unwrap_or_else(|| FILE.into());
    if line.help || line.commands.len() == 1 || !(named || path.exists()) {
        return Ok((arguments, None));
    }
    let file = File { path: &path, named };
    let text =
        String::from_utf8(input::read(&path, LIMIT)?).map_err(|_| file.refuse("is not UTF-8"))?;
    let table: Table = text.parse().map_err(|e: toml::de::Error| {
        let row =
            e.span().map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count()) + 1;
        file.refuse(format!("row {row}: {}", e.message().lines().next().unwrap_or_default()))
    })?;
    file.check(command, &table, "")?;

    let mut found = Vec::new();
    let mut insertions = Vec::new();
    let mut level = Some(&table);
    let mut name = String::new();
    for (command, at) in &line.commands {
        if *at > 0 {
            level = level.and_then(|table| table.get(command.get_name())).and_then(Value::as_table);
            name = below(&name, command.get_name());
        }
        let Some(table) = level else { break };
        for (key, value) in table.iter().filter(|(_, value)| !value.is_table()) {
            let arg = option(command, key).expect("the whole file was checked");
            if line.given.iter().any(|id| id == arg.get_id() || contradict(command, arg, id)) {
                continue;
            }
            for word in file.words(&name, key, arg, value)? {
                found.push((name.clone(), key.clone(), word.clone()));
                insertions.push((at + 1, word));
            }
        }
    }
    // The last first, so that the places of the others stay.
    insertions.into_iter().rev().for_each(|(at, word)| arguments.insert(at, word.into()));
    let from = (!found.is_empty()).then_some(Given { path: path.clone(), options: found });
    Ok((arguments, from))
}

/// What a command line says, read without judging it.
struct Line<'a> {
    /// The command and each subcommand, with its place among the arguments.
    commands: Vec<(&'a Command, usize)>,
    given: HashSet<Id>,
    config: Option<PathBuf>,
    /// Nothing but help or the version is asked for.
    help: bool,
}

impl<'a> Line<'a> {
    fn read(command: &'a Command, arguments: &[OsString]) -> Self {
        let mut line =
            Line { commands: vec![(command, 0)], given: HashSet::new(), config: None, help: false };
        let mut current = command;
        let mut words = arguments.iter().enumerate().skip(1);
        while let Some((at, word)) = words.next() {
            let text = word.to_string_lossy();
            if text == "--" {
                break;
            }
            if let Some(long) = text.strip_prefix("--") {
                let (name, inline) =
                    long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
                line.help |= matches!(name, "help" | "version");
                let Some(arg) = current.get_arguments().find(|arg| arg.get_long() == Some(name))
                else {
                    continue;
                };
                line.given.insert(arg.get_id().clone());
                let mut value = inline.map(PathBuf::from);
                if inline.is_none() && arg.get_action().takes_values() {
                    value = words.next().map(|(_, value)| value.into());
                }
                if name == "config" {
                    line.config = value;
                }
            } else if matches!(&*text, "-h" | "-V" | "help") {
                line.help = true;
            } else if let Some(below) = current.find_subcommand(&*text) {
                current = below;
                line.commands.push((below, at));
            }
        }
        line
    }
}

/// The file, for messages.
struct File<'a> {
    path: &'a Path,
    /// Whether --config names it.
    named: bool,
}

impl File<'_> {
    fn refuse(&self, what: impl Into<String>) -> Error {
        Error::Config { path: self.path.to_owned(), what: what.into() }
    }

    /// Checks the table of `command` and all below.
    fn check(&self, command: &Command, table: &Table, name: &str) -> Result<(), Error> {
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

    /// The value of an option as it would stand on the command line: a word for each time the
    /// option is given.
    fn words(
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

/// The options of a command that a file may give: all long ones but those of every command, which
/// stand above the tables.
fn options(command: &Command) -> impl Iterator<Item = &Arg> {
    let root = command.get_name() == PROGRAM;
    command.get_arguments().filter(move |arg| {
        let long =
            arg.get_long().is_some_and(|long| !matches!(long, "help" | "version" | "config"));
        long && (root || !arg.is_global_set())
    })
}

fn option<'a>(command: &'a Command, key: &str) -> Option<&'a Arg> {
    options(command).find(|arg| arg.get_long() == Some(key))
}

/// Whether one of two arguments excludes the other.
fn contradict(command: &Command, arg: &Arg, other: &Id) -> bool {
    let excludes =
        |a: &Arg, b: &Id| command.get_arg_conflicts_with(a).iter().any(|arg| arg.get_id() == b);
    let found = command.get_arguments().find(|arg| arg.get_id() == other);
    found.is_some_and(|found| excludes(arg, other) || excludes(found, arg.get_id()))
}

/// The subcommand that was given, however deep.
fn innermost<'a>(
    mut command: &'a Command,
    mut matches: &'a ArgMatches,
) -> (&'a Command, &'a ArgMatches) {
    while let Some((name, below)) = matches.subcommand() {
        (command, matches) = (command.find_subcommand(name).expect("clap found it"), below);
    }
    (command, matches)
}

/// Every option of the innermost command, with where it comes from.
fn effective(root: &Command, matches: &ArgMatches, from: Option<&Given>) -> Vec<Effective> {
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

/// A key where it stands.
fn place(table: &str, key: &str) -> String {
    match table {
        "" => format!("{key}, above all tables,"),
        table => format!("[{table}] {key}"),
    }
}

fn below(table: &str, name: &str) -> String {
    if table.is_empty() { name.to_owned() } else { format!("{table}.{name}") }
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

/// The name that the fewest insertions, deletions and replacements make of `word` (Levenshtein
/// 1966).
fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    names.min_by_key(|name| strsim::levenshtein(word, name))
}
