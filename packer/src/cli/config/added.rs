//! What a file of options adds to a command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Command;
use clap::error::{ContextKind, ContextValue};
use medforge_runtime::words::shown;
use toml::{Table, Value};

use super::file::File;
use super::line::Line;
use super::names::{below, contradict, option, place};
use crate::{Error, input};

/// The file that is read if it lies in the working directory and --config names no other.
pub const FILE: &str = "packer.toml";
/// The largest file that is read, in bytes.
const LIMIT: u64 = 1 << 20;

/// The options that a file added.
pub struct FileOptions {
    pub path: PathBuf,
    /// Table, key, and the word on the command line.
    pub options: Vec<(String, String, String)>,
}

impl FileOptions {
    /// clap's error in the words of the file, where it is about one of its options.
    pub fn explain(&self, error: &clap::Error) -> Option<Error> {
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

/// Adds the file's options to `arguments`, except those that are given there or contradict one that
/// is. Also returns the options that were added.
pub fn extend(
    command: &Command,
    mut arguments: Vec<OsString>,
) -> Result<(Vec<OsString>, Option<FileOptions>), Error> {
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
    // From the last to the first, so that the places before stay right.
    insertions.into_iter().rev().for_each(|(at, word)| arguments.insert(at, word.into()));
    let from = (!found.is_empty()).then_some(FileOptions { path: path.clone(), options: found });
    Ok((arguments, from))
}
