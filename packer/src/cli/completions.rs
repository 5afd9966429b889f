//! `packer completions`: shell completions and manual pages, made from the command line's own
//! definition.

use std::path::{Path, PathBuf};

use clap_complete::Shell;

use crate::output::Places;
use crate::{Error, output};

/// Print shell completions, or write manual pages.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  packer completions bash > /etc/bash_completion.d/packer\n  packer \
                  completions --man man1"
)]
pub struct Args {
    /// Whose completions
    #[arg(required_unless_present = "man")]
    shell: Option<Shell>,
    /// Write manual pages into this folder instead
    #[arg(long, value_name = "DIR", conflicts_with = "shell")]
    man: Option<PathBuf>,
    /// With --man: replace pages that stand there
    #[arg(long, requires = "man")]
    force: bool,
}

pub fn run(args: Args, places: &Places) -> Result<(), Error> {
    let mut command = super::command();
    if let Some(shell) = args.shell {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut command, "packer", &mut script);
        output::print(&String::from_utf8_lossy(&script))?;
    }
    if let Some(dir) = args.man {
        command.build();
        output::folder_for("--man", &dir)?;
        let mut pages = Vec::new();
        manual(&command, &dir, &mut pages)?;
        let place =
            |(path, page): (PathBuf, _)| Ok((places.file("--man", &path, args.force)?, page));
        let pages = pages.into_iter().map(place).collect::<Result<Vec<_>, Error>>()?;
        pages.iter().try_for_each(|(file, page)| file.write(page))?;
    }
    Ok(())
}

/// A page for the command and one for each below it, with their places in `dir`.
fn manual(
    command: &clap::Command,
    dir: &Path,
    pages: &mut Vec<(PathBuf, Vec<u8>)>,
) -> Result<(), Error> {
    let name = command.get_display_name().unwrap_or(command.get_name()).replace(' ', "-");
    let mut bytes = Vec::new();
    clap_mangen::Man::new(command.clone())
        .title(name.clone())
        .render(&mut bytes)
        .map_err(|e| Error::io(dir, e))?;
    pages.push((dir.join(format!("{name}.1")), bytes));
    command
        .get_subcommands()
        .filter(|c| c.get_name() != "help")
        .try_for_each(|command| manual(command, dir, pages))
}
