//! A command line, read before clap judges it.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Command, Id};

/// What a command line asks for; mistakes in it are left to clap.
pub struct Line<'a> {
    /// The command and each subcommand, with its place among the arguments.
    pub commands: Vec<(&'a Command, usize)>,
    pub given: HashSet<Id>,
    pub config: Option<PathBuf>,
    /// Help or the version is asked for.
    pub help: bool,
}

impl<'a> Line<'a> {
    pub fn read(command: &'a Command, arguments: &[OsString]) -> Self {
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
