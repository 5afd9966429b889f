//! `packer base`: what a base is, and bases in the one form that everything takes.

use clap::Subcommand;

use crate::Error;
use crate::output::Places;

mod convert;
mod inspect;
mod report;

/// Show what a base is, or write it as a folder that says everything about it
#[derive(Subcommand)]
#[command(after_help = "Example:\n  \
    packer base inspect uni2-h\n  \
    packer base convert uni2-h --out uni2 --heads 24\n\n\
    Other commands read the same files, so that a base without open questions needs no \
    conversion.")]
pub enum Command {
    Inspect(inspect::Args),
    Convert(convert::Args),
}

pub fn run(command: Command, places: &Places) -> Result<(), Error> {
    match command {
        Command::Inspect(args) => inspect::run(&args),
        Command::Convert(args) => convert::run(&args, places),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use crate::cli::command;

    #[test]
    fn the_commands_of_the_page_about_bases_are_taken() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/bases.md");
        let page = fs::read_to_string(page).unwrap();
        let spans = page.split('`').filter(|span| span.starts_with("packer base "));
        let lines = page.lines().filter(|line| line.starts_with("packer "));
        let whole = |span: &&str| span.split(' ').count() > 3 && !span.contains(" N");
        let mut count = 0;
        for line in spans.filter(whole).chain(lines) {
            let words = line.split_whitespace();
            command().try_get_matches_from(words).unwrap_or_else(|e| panic!("{line}: {e}"));
            count += 1;
        }
        assert!(count > 20, "{count}");
    }
}
