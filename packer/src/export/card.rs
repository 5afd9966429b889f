//! `model_card.md`: what a bundle is, for people (after Mitchell et al. 2019, "Model Cards for
//! Model Reporting").

use std::fmt::Write;

use medforge_runtime::bundle::manifest::{Manifest, Mode};
use medforge_runtime::bundle::measured::{Estimate, Measured, Subgroup};

use crate::eval::measured::{self as words, NEVER};
use crate::lora::Module;

/// The card of the bundle that `manifest` describes.
pub(super) fn model_card(manifest: &Manifest, modules: &[Module]) -> String {
    let mut card = format!("# {}, version {}\n\n", plain(&manifest.name), manifest.counter);
    let mut line = |text: String| writeln!(card, "{text}").expect("a string takes everything");
    line(format!(
        "Packed {} by {} {}.\n",
        manifest.created, manifest.tool.name, manifest.tool.version
    ));
    line(format!("## Intended use\n\n{}\n", plain(&manifest.intended_use)));
    let base = &manifest.base;
    let [height, width] = base.image_size;
    line("## Base\n".into());
    line(format!(
        "A frozen vision transformer of the family {}: {} layers,",
        base.family, base.layers
    ));
    line(format!(
        "{} features, input {height} x {width} pixels. Digest `{}`.\n",
        base.feature_size, base.digest
    ));
    line("## Modules\n".into());
    for module in modules {
        let trained = module.card.image_size;
        line(format!("### {}\n", plain(&module.card.task)));
        line(format!("- contributor: {}", plain(&module.card.contributor)));
        line(format!("- licence: {}", plain(&module.card.licence)));
        line(format!("- classes: {}", plain(&module.head.classes.join(", "))));
        for (class, texts) in &module.card.class_texts {
            let untrained = if module.card.classes.contains(class) {
                ""
            } else {
                ", without training on images of it"
            };
            let texts: Vec<String> =
                texts.iter().map(|text| format!("\u{201c}{}\u{201d}", plain(text))).collect();
            line(format!(
                "- class {} is what these texts say{untrained}: {}",
                plain(class),
                texts.join(", ")
            ));
        }
        line(format!(
            "- LoRA of rank {} at {} sites, trained at {trained} pixels",
            module.rank,
            module.sites.len()
        ));
        if let Some(cut) = module.card.training["share_cut"].as_f64().filter(|cut| *cut > 0.0) {
            line(format!(
                "- of the area of its training images the centre crop left away {:.0} %: the \
                 module never saw it",
                100.0 * cut
            ));
        }
        let created = module.card.created().unwrap_or("at a time that is not known");
        line(format!("- trained: {}\n", plain(created)));
        let task = &module.card.task;
        match (manifest.measured.get(task), module.card.measured()) {
            (Some(measured), _) => line(results(measured)),
            (None, Some(measured)) if module.head.classes != module.card.classes => {
                line(
                    "Results with the trained classes alone; they do not hold of this bundle, \
                      which has more classes:\n"
                        .into(),
                );
                line(results(&measured));
            }
            _ => line(format!("**As it is packed here it was {NEVER}.**\n")),
        }
        for member in manifest.members.iter().filter(|member| member.task == *task) {
            line(format!(
                "Merged from the module of {}, licence {}.",
                plain(&member.contributor),
                plain(&member.licence)
            ));
            if let Some(id) = &member.contribution {
                line(format!("It came in the contribution `{id}`."));
            }
            if let Some(card) = &member.card {
                line(format!("Its contributor's own card is `{card}` in this bundle."));
            }
            match &member.measured {
                Some(measured) => {
                    line(
                        "\nResults of that module alone, before it was merged; they do not hold of \
                         this bundle:\n"
                            .into(),
                    );
                    line(results(measured));
                }
                None => line(format!("That module alone was {NEVER}.\n")),
            }
        }
    }
    line("## Who takes part\n\n| task | how | module | weight |\n|---|---|---|---|".into());
    for composition in &manifest.compositions {
        let how = match composition.mode {
            Mode::Fusion => "fusion",
            Mode::Mixture => "mixture",
            Mode::Routed => "routed",
        };
        for part in &composition.parts {
            line(format!(
                "| {} | {how} | `{}` | {:.4} |",
                plain(&composition.task),
                part.module,
                part.weight
            ));
        }
    }
    line(String::new());
    line("## Limits\n".into());
    line(
        "The results hold for images like those that they were measured on. Other scanners, \
          stains and"
            .into(),
    );
    line("patients can be worse: measure on your own images first.".into());
    for head in &manifest.heads {
        let task = plain(&head.task);
        line(match &head.calibration {
            None => {
                let card =
                    modules.iter().map(|module| &module.card).find(|card| card.task == head.task);
                let why = card.and_then(|card| card.uncalibrated.as_deref());
                let why = why.map_or(String::new(), |why| format!(" ({})", plain(why)));
                format!(
                    "\nProbabilities of {task} are not calibrated{why}, and nothing tells images \
                     that it does not know."
                )
            }
            Some(c) => {
                let unsure = if c.least_probability > 0.0 {
                    format!(", nor where no class has a probability of {}", c.least_probability)
                } else {
                    String::new()
                };
                let how = if c.temperature == 1.0 {
                    "are as the module gives them: no temperature was shown to help on held-out \
                     images"
                        .to_owned()
                } else {
                    format!(
                        "are calibrated at temperature {:.3}, fitted on held-out images",
                        c.temperature
                    )
                };
                format!(
                    "\nProbabilities of {task} {how} (expected calibration error {:.3} on the {} \
                     held-out images). No answer is given for images with \
                     an out-of-distribution score above {:.3}{unsure}.",
                    c.error, c.n, c.threshold
                )
            }
        });
    }
    card
}

/// What was measured, as tables; every number with its interval.
fn results(measured: &Measured) -> String {
    let mut text = format!("Measured on {}.\n", words::sample(measured));
    if let Some(why) = &measured.no_intervals {
        text += &format!("There are no intervals: {}.\n", plain(why));
    }
    let model = measured.metrics.iter().map(|m| ("model".to_owned(), m));
    let floors = measured
        .floors
        .iter()
        .flat_map(|f| f.metrics.iter().map(|m| (words::title(f).to_owned(), m)));
    text += &table("of", model.chain(floors));
    text.extend(
        measured.floors.iter().map(|floor| format!("\n**{}.**\n", plain(&words::verdict(floor)))),
    );
    for subgroups in &measured.subgroups {
        let of = |value: &Subgroup| words::subgroup(&subgroups.by, value);
        text += &table(
            "subgroup",
            subgroups.values.iter().flat_map(|v| v.metrics.iter().map(move |m| (of(v), m))),
        );
        for value in &subgroups.values {
            if let Some(why) = &value.too_few {
                text +=
                    &format!("\n{} has too few for figures: {}.\n", plain(&of(value)), plain(why));
            }
        }
        for gap in &subgroups.gaps {
            text += &format!("\nGap by {}.\n", plain(&words::apart(&subgroups.by, gap)));
        }
    }
    text
}

fn table<'a>(of: &str, rows: impl Iterator<Item = (String, &'a Estimate)>) -> String {
    let row = |(of, m): (String, &Estimate)| {
        format!("| {} | {} | {:.3} | {} |\n", plain(&of), plain(&m.name), m.value, words::range(m))
    };
    format!(
        "\n| {of} | metric | value | 95 % interval |\n|---|---|---|---|\n{}",
        rows.map(row).collect::<String>()
    )
}

/// Text that cannot pass for markup of the card.
fn plain(text: &str) -> String {
    let escaped = |c: char| match c {
        '\n' | '\r' => " ".to_owned(),
        '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|' => format!("\\{c}"),
        c => c.to_string(),
    };
    text.chars().map(escaped).collect()
}
