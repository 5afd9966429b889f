//! What a bundle says of itself.

use medforge_runtime::bundle::{Manifest, inspect};
use serde_json::json;

use super::{Args, row, signers};
use crate::eval::measured::{NEVER, words};
use crate::{Error, output};

pub fn show(args: &Args, bytes: Vec<u8>) -> Result<(), Error> {
    let bundle = inspect(bytes)?;
    let signers = signers(&bundle);
    if args.json {
        let shown = json!({ "verified": false, "id": bundle.id(), "signers": signers,
            "manifest": bundle.manifest() });
        return output::print(&format!("{shown:#}\n"));
    }
    let mut text = String::from(
        "NOT VERIFIED: whoever signed this bundle wrote what follows; `packer verify` checks the \
         signature.\n\n",
    );
    text += &description(bundle.manifest(), bundle.id());
    signers.iter().for_each(|signer| row(&mut text, "signed by", signer));
    output::print(&text)
}

fn description(manifest: &Manifest, id: &str) -> String {
    let mut text = String::new();
    let mut row = |key: &str, value: String| row(&mut text, key, &value);
    row("name", format!("{}, version {}", manifest.name, manifest.counter));
    row("id", id.to_owned());
    row("created", manifest.created.clone());
    if let Some(predecessor) = &manifest.predecessor {
        row("replaces", predecessor.clone());
    }
    row("packed by", format!("{} {}", manifest.tool.name, manifest.tool.version));
    row("intended use", manifest.intended_use.escape_debug().to_string());
    let base = &manifest.base;
    let [height, width] = base.image_size;
    row(
        "base",
        format!(
            "{}, {} layers, input {height} x {width}, digest {}",
            base.family, base.layers, base.digest
        ),
    );
    heads(manifest, &mut row);
    members(manifest, &mut row);
    for module in &manifest.modules {
        row("module", module.id.clone());
        row(
            "  for",
            format!("{}, by {}, licence {}", module.task, module.contributor, module.licence),
        );
        row("  adapts", format!("{} sites, rank {}", module.sites.len(), module.rank));
    }
    for entry in &manifest.entries {
        row("entry", format!("{:>12} bytes  {}", entry.length, entry.name));
    }
    text
}

/// Each task with its classes, and how it did.
fn heads(manifest: &Manifest, row: &mut impl FnMut(&str, String)) {
    for head in &manifest.heads {
        let untrained = |class: &String| {
            if head.zero_shot.contains(class) { " (without training)" } else { "" }
        };
        let classes: Vec<String> =
            head.classes.iter().map(|class| format!("{class}{}", untrained(class))).collect();
        row("task", format!("{}: {}", head.task, classes.join(", ")));
        match (manifest.measured.get(&head.task), manifest.metrics.get(&head.task)) {
            (Some(measured), _) => {
                words(measured).into_iter().for_each(|(key, value)| row(&format!("  {key}"), value))
            }
            // Bundles made before they carried the whole evaluation.
            (None, Some(m)) => {
                row(
                    "  result",
                    format!(
                        "{} {:.3} ({:.3} to {:.3}, {} images)",
                        m.name, m.value, m.low, m.high, m.n
                    ),
                );
            }
            (None, None) => row("  result", format!("as it is packed here it was {NEVER}")),
        }
    }
}

/// The modules that a merged model was made of, and how each did alone.
fn members(manifest: &Manifest, row: &mut impl FnMut(&str, String)) {
    for member in &manifest.members {
        row(
            "merged from",
            format!("{}, by {}, licence {}", member.task, member.contributor, member.licence),
        );
        if let Some(id) = &member.contribution {
            row("  came in", format!("contribution {id}"));
        }
        if let Some(card) = &member.card {
            row("  card", card.clone());
        }
        match &member.measured {
            Some(measured) => {
                row("  alone", "before it was merged; it does not hold of this bundle".into());
                words(measured)
                    .into_iter()
                    .for_each(|(key, value)| row(&format!("  {key}"), value));
            }
            None => row("  alone", NEVER.into()),
        }
    }
}
