//! Options by the names that they have in a file.

use clap::{Arg, ArgMatches, Command, Id};

/// The command above all others.
const PROGRAM: &str = "packer";

/// The options of a command that a file may give: all long ones. Those that every command has stand
/// above the tables.
pub fn options(command: &Command) -> impl Iterator<Item = &Arg> {
    let root = command.get_name() == PROGRAM;
    command.get_arguments().filter(move |arg| {
        let long =
            arg.get_long().is_some_and(|long| !matches!(long, "help" | "version" | "config"));
        long && (root || !arg.is_global_set())
    })
}

/// The option that a file calls `key`.
pub fn option<'a>(command: &'a Command, key: &str) -> Option<&'a Arg> {
    options(command).find(|arg| arg.get_long() == Some(key))
}

/// Whether one of two arguments excludes the other.
pub fn contradict(command: &Command, arg: &Arg, other: &Id) -> bool {
    let excludes =
        |a: &Arg, b: &Id| command.get_arg_conflicts_with(a).iter().any(|arg| arg.get_id() == b);
    let found = command.get_arguments().find(|arg| arg.get_id() == other);
    found.is_some_and(|found| excludes(arg, other) || excludes(found, arg.get_id()))
}

/// The subcommand that was given, however deep.
pub fn innermost<'a>(
    mut command: &'a Command,
    mut matches: &'a ArgMatches,
) -> (&'a Command, &'a ArgMatches) {
    while let Some((name, below)) = matches.subcommand() {
        (command, matches) = (command.find_subcommand(name).expect("clap found it"), below);
    }
    (command, matches)
}

/// A key with its table, for messages.
pub fn place(table: &str, key: &str) -> String {
    match table {
        "" => format!("{key}, above all tables,"),
        table => format!("[{table}] {key}"),
    }
}

/// The name of the table `name` within `table`.
pub fn below(table: &str, name: &str) -> String {
    if table.is_empty() { name.to_owned() } else { format!("{table}.{name}") }
}
