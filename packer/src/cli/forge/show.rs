//! `packer forge show`: one item, its members and files, and whether they verify.

use serde_json::json;

use super::log::change;
use super::{At, Version};
use crate::{Error, output};

/// Show a forge item: members, weights, digests, and whether it verifies
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  packer forge show F v2\n\nVerified is what the item names: its \
                  signature, its content, its members' archives.\n\
    `packer forge verify` looks at the whole history."
)]
pub struct Args {
    #[command(flatten)]
    at: At,
    /// The item [default: the newest]
    #[arg(value_name = "vN")]
    item: Option<Version>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<(), Error> {
    let forge = args.at.open()?;
    let item = super::item(&forge, args.item)?;
    let content = forge.content(item.manifest())?;
    let parts = content.members.iter().map(|member| {
        let pushed = forge.pushed(member.push)?;
        forge.verify_push(&pushed)?;
        Ok((member, pushed))
    });
    let verified =
        forge.stored_model(&content).and_then(|_| parts.collect::<Result<Vec<_>, Error>>());
    let verdict = match &verified {
        Ok(_) => "verified".to_owned(),
        Err(error) => format!("NOT VERIFIED: {error}"),
    };
    if args.json {
        let shown = json!({ "id": item.id(), "verified": verified.is_ok(), "verdict": verdict,
            "item": item.manifest(), "content": content });
        let printed = output::print(&format!("{shown:#}\n"));
        return verified.map(drop).and(printed);
    }
    let mut text = String::new();
    let mut row = |key: &str, value: String| text.push_str(&format!("{key:<12}{value}\n"));
    let manifest = item.manifest();
    row("item", format!("v{}, {}", manifest.number, change(manifest)));
    row("id", item.id().to_owned());
    row("after", manifest.predecessor.clone());
    row(
        "created",
        format!("{} by {} {}", manifest.created, manifest.tool.name, manifest.tool.version),
    );
    row("settings", manifest.settings.to_string());
    for member in &content.members {
        let weight = content.record["weights"]
            .get(&member.name)
            .map(|weight| format!(", weight {weight}"))
            .unwrap_or_default();
        row(
            "member",
            format!("{}  push {}: {}{weight}", member.contribution, member.push, member.name),
        );
    }
    for (name, file) in &content.files {
        row("file", format!("{}  {:>12} bytes  {name}", file.sha256, file.length));
    }
    row("", verdict);
    let printed = output::print(&text);
    // The item is still refused, even where that could not be printed.
    verified.map(drop).and(printed)
}
