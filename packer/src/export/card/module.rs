//! What a card says about one module.

use medforge_runtime::bundle::manifest::{Manifest, Member};

use super::plain::plain;
use super::results::results;
use crate::eval::measured::NEVER;
use crate::lora::Module;

/// The section on `module`, line by line.
pub(super) fn section(module: &Module, manifest: &Manifest) -> Vec<String> {
    let (card, task) = (&module.card, &module.card.task);
    let mut lines = vec![
        format!("### {}\n", plain(task)),
        format!("- contributor: {}", plain(&card.contributor)),
        format!("- licence: {}", plain(&card.licence)),
        format!("- classes: {}", plain(&module.head.classes.join(", "))),
    ];
    lines.extend(card.class_texts.iter().map(|(class, texts)| class_line(module, class, texts)));
    lines.push(format!(
        "- LoRA of rank {} at {} sites, trained at {} pixels",
        module.rank,
        module.sites.len(),
        card.image_size
    ));
    if let Some(cut) = card.training["share_cut"].as_f64().filter(|cut| *cut > 0.0) {
        lines.push(format!(
            "- of the area of its training images the centre crop left away {:.0} %: the module \
             never saw it",
            100.0 * cut
        ));
    }
    let created = card.created().unwrap_or("at a time that is not known");
    lines.push(format!("- trained: {}\n", plain(created)));
    match (manifest.measured.get(task), card.measured()) {
        (Some(measured), _) => lines.push(results(measured)),
        (None, Some(measured)) if module.head.classes != card.classes => {
            lines.push(
                "Results with the trained classes alone; they do not hold of this bundle, which \
                 has more classes:\n"
                    .into(),
            );
            lines.push(results(&measured));
        }
        _ => lines.push(format!("**As it is packed here it was {NEVER}.**\n")),
    }
    let members = manifest.members.iter().filter(|member| member.task == *task);
    lines.extend(members.flat_map(merged_from));
    lines
}

/// What a class of texts is.
fn class_line(module: &Module, class: &str, texts: &[String]) -> String {
    let trained = module.card.classes.iter().any(|known| known == class);
    let untrained = if trained { "" } else { ", without training on images of it" };
    let quoted = |text: &String| format!("\u{201c}{}\u{201d}", plain(text));
    format!(
        "- class {} is what these texts say{untrained}: {}",
        plain(class),
        texts.iter().map(quoted).collect::<Vec<_>>().join(", ")
    )
}

/// A contributor's module before it was merged.
fn merged_from(member: &Member) -> Vec<String> {
    let mut lines = vec![format!(
        "Merged from the module of {}, licence {}.",
        plain(&member.contributor),
        plain(&member.licence)
    )];
    if let Some(id) = &member.contribution {
        lines.push(format!("It came in the contribution `{id}`."));
    }
    if let Some(card) = &member.card {
        lines.push(format!("Its contributor's own card is `{card}` in this bundle."));
    }
    match &member.measured {
        Some(measured) => {
            lines.push(
                "\nResults of that module alone, before it was merged; they do not hold of this \
                 bundle:\n"
                    .into(),
            );
            lines.push(results(measured));
        }
        None => lines.push(format!("That module alone was {NEVER}.\n")),
    }
    lines
}
