//! `model_card.md`: what a bundle is, for people (after Mitchell et al. 2019, "Model Cards for Model Reporting").

use std::fmt::Write;

use medforge_runtime::bundle::manifest::Manifest;

use crate::lora::Module;

/// The card of the bundle that `manifest` describes.
pub(super) fn model_card(manifest: &Manifest, modules: &[Module]) -> String {
    let mut card = format!("# {}, version {}\n\n", plain(&manifest.name), manifest.counter);
    let mut line = |text: String| writeln!(card, "{text}").expect("a string takes everything");
    line(format!("Packed {} by {} {}.\n", manifest.created, manifest.tool.name, manifest.tool.version));
    line(format!("## Intended use\n\n{}\n", plain(&manifest.intended_use)));
    let base = &manifest.base;
    let [height, width] = base.image_size;
    line("## Base\n".into());
    line(format!("A frozen vision transformer of the family {}: {} layers,", base.family, base.layers));
    line(format!("{} features, input {height} x {width} pixels. Digest `{}`.\n", base.feature_size, base.digest));
    line("## Modules\n".into());
    for (stated, module) in manifest.modules.iter().zip(modules) {
        let trained = module.card.image_size;
        line(format!("### {}\n", plain(&stated.task)));
        line(format!("- contributor: {}", plain(&stated.contributor)));
        line(format!("- licence: {}", plain(&stated.licence)));
        line(format!("- id: `{}`", stated.id));
        line(format!("- classes: {}", plain(&module.head.classes.join(", "))));
        line(format!("- LoRA of rank {} at {} sites, trained at {trained} pixels", stated.rank, stated.sites.len()));
        line(format!("- trained: {}\n", plain(&module.card.created)));
        match module.card.metrics.is_empty() {
            true => line("No result was recorded (`packer eval --record` does).\n".into()),
            false => {
                line("| metric | value | 95 % interval | images |\n|---|---|---|---|".into());
                for m in &module.card.metrics {
                    line(format!("| {} | {:.3} | {:.3} to {:.3} | {} |", plain(&m.name), m.value, m.low, m.high, m.n));
                }
                line(String::new());
            }
        }
    }
    line("## Limits\n".into());
    line("The results hold for images like those that they were measured on. Other scanners, stains and".into());
    line("patients can be worse: measure on your own images first. Probabilities are not calibrated.".into());
    card
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
