//! `packer forge log`: the history, one line an item.

use serde_json::json;

use super::At;
use crate::forge::recipe::RecipeSettings;
use crate::forge::{Item, Kind, Member};
use crate::{Error, output};

/// Show a forge's history: its items, and what was pushed and is not merged yet
#[derive(clap::Args)]
#[command(after_help = "Example:\n  packer forge log F")]
pub struct Args {
    #[command(flatten)]
    at: At,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<(), Error> {
    let forge = args.at.open()?;
    let items = forge.items()?;
    let merged = items.last().map_or(0, |item| item.manifest().push);
    let waiting = forge.pushes_after(merged)?;
    if args.json {
        let waiting: Vec<_> = waiting
            .iter()
            .map(|pushed| {
                let manifest = pushed.signed.description();
                json!({ "push": pushed.number, "name": manifest.name, "counter": manifest.counter,
                    "contribution": pushed.signed.id() })
            })
            .collect();
        let items: Vec<_> =
            items.iter().map(|item| json!({ "id": item.id(), "item": item.manifest() })).collect();
        return output::print(&format!("{:#}\n", json!({ "items": items, "waiting": waiting })));
    }
    let mut text = String::new();
    for item in &items {
        let (id, item) = (&item.id()[..12], item.manifest());
        let method = RecipeSettings::method_name(&item.settings);
        text += &format!(
            "v{:<5} {id}  {}  {:>4} members  {method:<12} {}\n",
            item.number,
            item.created,
            item.members,
            change(item)
        );
    }
    for pushed in waiting {
        let (id, manifest) = (&pushed.signed.id()[..12], pushed.signed.description());
        text += &format!(
            "waits  {id}  {}  {} number {}\n",
            manifest.created, manifest.name, manifest.counter
        );
    }
    if text.is_empty() {
        text += "nothing was pushed yet\n";
    }
    output::print(&text)
}

/// What an item did, for people.
pub(super) fn change(item: &Item) -> String {
    let name = |member: &Option<Member>| {
        member.as_ref().map(|member| member.name.clone()).unwrap_or_default()
    };
    match (&item.added, &item.removed) {
        _ if item.kind == Kind::Skip => format!("passed over {}", name(&item.removed)),
        _ if item.kind == Kind::Again => "the same members again".to_owned(),
        _ if item.kind == Kind::Restore => format!("+ {} again", name(&item.added)),
        (Some(_), None) => format!("+ {}", name(&item.added)),
        (Some(_), Some(_)) => format!("+ {} in place of its older one", name(&item.added)),
        (None, _) => format!("- {}", name(&item.removed)),
    }
}
