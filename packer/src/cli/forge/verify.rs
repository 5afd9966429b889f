//! `packer forge verify`: whether everything in a forge is as it was signed. Exit code 0 if so, 3
//! if not.

use super::At;
use crate::forge::Methods;
use crate::forge::recipe::Recipes;
use crate::{Error, output};

/// Verify a whole forge: signatures, history, every contribution, every object
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  packer forge verify F --trust forge.pub --rebuild\n\nExit code: 0 \
                  verified, 3 refused, 1 could not be checked."
)]
pub struct Args {
    #[command(flatten)]
    at: At,
    /// Also make every item again from its contributions; it must have the same bytes
    #[arg(long)]
    rebuild: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<(), Error> {
    let forge = args.at.open()?;
    let recipes = Recipes::new(&forge, &|_, _| ());
    let methods: Methods = &|settings| recipes.recorded(settings);
    let report = forge.verify(args.rebuild.then_some(methods))?;
    if args.json {
        let shown = serde_json::to_string_pretty(&report).expect("a report is plain data");
        return output::print(&format!("{shown}\n"));
    }
    let mut text = format!(
        "verified: {} items, {} contributions ({} not merged yet), {} objects\n",
        report.items, report.contributions, report.waiting, report.objects
    );
    if args.rebuild {
        text += &format!("made again with the same bytes: {} items\n", report.rebuilt);
    }
    if report.unnamed > 0 {
        text +=
            &format!("{} objects that nothing names, left by stopped processes\n", report.unnamed);
    }
    output::print(&text)
}
