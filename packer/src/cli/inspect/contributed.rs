//! A contribution: its manifest, its card, and on request the pictures of its condensed set.

use medforge_runtime::bundle::open_unverified;
use serde_json::json;

use super::{Args, row, signers};
use crate::condense::contact_sheet;
use crate::contribution::{GRAMS, Manifest};
use crate::data::Condensed;
use crate::eval::measured::{NEVER, words};
use crate::output::NewFile;
use crate::{Error, output};

pub fn show(args: &Args, bytes: Vec<u8>, pictures: Option<&NewFile>) -> Result<(), Error> {
    let refuse = |source| Error::Contribution { path: args.file.clone(), source };
    let archive = open_unverified::<Manifest>(bytes).map_err(refuse)?;
    let manifest = archive.manifest();
    let card = harmless(archive.entry("card.md").map_err(refuse)?);
    if let Some(pictures) = pictures {
        let set = Condensed::read(&args.file, |name| Ok(archive.entry(name)?.to_vec()))?;
        pictures.write(&contact_sheet(&set)?)?;
    }
    let signers = signers(&archive);
    if args.json {
        let shown = json!({ "verified": false, "id": archive.id(), "signers": signers,
            "manifest": manifest, "card": card });
        return output::print(&format!("{shown:#}\n"));
    }
    let mut text = String::from(
        "NOT VERIFIED: whoever signed this contribution wrote what follows; `packer forge push` \
         checks the signature.\n\n",
    );
    text += &description(manifest, archive.id());
    signers.iter().for_each(|signer| row(&mut text, "signed by", signer));
    text += &format!("\nThe contributor's card:\n\n{card}\n");
    output::print(&text)
}

fn description(manifest: &Manifest, id: &str) -> String {
    let mut text = String::new();
    let mut row = |key: &str, value: String| row(&mut text, key, &value);
    row("contribution", format!("{}, number {}", manifest.name, manifest.counter));
    row("id", id.to_owned());
    row("created", manifest.created.clone());
    row("packed by", format!("{} {}", manifest.tool.name, manifest.tool.version));
    row("contributor", manifest.contributor.clone());
    row("licence", manifest.licence.clone());
    row("task", format!("{}: {}", manifest.task, manifest.classes.join(", ")));
    row(
        "base",
        format!("digest {}, images of {} pixels a side", manifest.base_digest, manifest.image_size),
    );
    match (&manifest.measured, &manifest.metrics[..]) {
        (Some(measured), _) => words(measured).into_iter().for_each(|(key, value)| row(key, value)),
        (None, []) => row("result", NEVER.into()),
        // Contributions made before they carried the whole evaluation.
        (None, metrics) => metrics.iter().for_each(|m| {
            row(
                "result",
                format!(
                    "{} {:.3} ({:.3} to {:.3}, {} images)",
                    m.name, m.value, m.low, m.high, m.n
                ),
            );
        }),
    }
    row(
        "condensed",
        match (manifest.images, manifest.groups) {
            (Some(images), Some(groups)) => {
                format!("from {images} real images of {groups} groups (patients)")
            }
            _ => "from real images whose number is protected".into(),
        },
    );
    row(
        "privacy",
        match &manifest.privacy {
            Some(privacy) => harmless(privacy.to_string().as_bytes()),
            None => "nothing is promised of what the condensed set gives away".into(),
        },
    );
    if manifest.real_start {
        row("start", "the condensed set STARTED FROM PATIENTS' IMAGES".into());
    }
    if manifest.entries.iter().any(|entry| entry.name == GRAMS) {
        row(
            "Gram matrices",
            "second moments of patients' features, of which nothing is promised".into(),
        );
    }
    for entry in &manifest.entries {
        row("entry", format!("{:>12} bytes  {}", entry.length, entry.name));
    }
    text
}

/// A foreign text with its control characters escaped, so that it cannot drive a terminal.
fn harmless(card: &[u8]) -> String {
    let shown = |c: char| {
        if c.is_control() && !matches!(c, '\n' | '\t') {
            c.escape_default().to_string()
        } else {
            c.to_string()
        }
    };
    String::from_utf8_lossy(card).replace("\r\n", "\n").chars().map(shown).collect()
}
