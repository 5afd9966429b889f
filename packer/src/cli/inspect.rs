//! `packer inspect`: what a bundle says of itself. Nothing is trusted, so nothing here is a promise.

use std::path::PathBuf;

use medforge_runtime::bundle::frame::LIMITS;
use medforge_runtime::bundle::{Manifest, inspect};
use serde_json::json;

use crate::{Error, output};

/// Show what is in a bundle, without verifying who signed it
#[derive(clap::Args)]
#[command(after_help = "Example:\n  packer inspect breast.medforge\n\nTo know who signed it: packer verify.")]
pub struct Args {
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<(), Error> {
    let bytes = output::read_file(&args.bundle, LIMITS.bundle as u64)?;
    let bundle = inspect(bytes)?;
    let signers: Vec<String> = bundle.signers().iter().map(|key| hex::encode(key.as_bytes())).collect();
    if args.json {
        let shown = json!({ "verified": false, "id": bundle.id(), "signers": signers, "manifest": bundle.manifest() });
        return output::print(&format!("{shown:#}\n"));
    }
    let mut text = String::from(
        "NOT VERIFIED: whoever signed this bundle wrote what follows; `packer verify` checks the signature.\n\n",
    );
    text += &description(bundle.manifest(), bundle.id());
    for signer in signers {
        text += &format!("{:<14}{signer}\n", "signed by");
    }
    output::print(&text)
}

fn description(manifest: &Manifest, id: &str) -> String {
    let mut text = String::new();
    let mut row = |key: &str, value: String| text.push_str(&format!("{key:<14}{value}\n"));
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
    row("base", format!("{}, {} layers, input {height} x {width}, digest {}", base.family, base.layers, base.digest));
    for head in &manifest.heads {
        let untrained = |class: &String| if head.zero_shot.contains(class) { " (without training)" } else { "" };
        let classes: Vec<String> = head.classes.iter().map(|class| format!("{class}{}", untrained(class))).collect();
        row("task", format!("{}: {}", head.task, classes.join(", ")));
        if let Some(m) = manifest.metrics.get(&head.task) {
            row("  result", format!("{} {:.3} ({:.3} to {:.3}, {} images)", m.name, m.value, m.low, m.high, m.n));
        }
    }
    for module in &manifest.modules {
        row("module", module.id.clone());
        row("  for", format!("{}, by {}, licence {}", module.task, module.contributor, module.licence));
        row("  adapts", format!("{} sites, rank {}", module.sites.len(), module.rank));
    }
    for entry in &manifest.entries {
        row("entry", format!("{:>12} bytes  {}", entry.length, entry.name));
    }
    text
}
