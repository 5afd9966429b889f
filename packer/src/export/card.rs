//! `model_card.md`: what a bundle is, for people (after Mitchell et al. 2019, "Model Cards for
//! Model Reporting").

use medforge_runtime::bundle::manifest::{Base, Manifest, Mode};

use crate::lora::Module;

mod calibration;
mod module;
mod plain;
mod results;

use plain::plain;

/// The card of the bundle that `manifest` describes.
pub(super) fn model_card(manifest: &Manifest, modules: &[Module]) -> String {
    let mut lines = vec![
        format!("# {}, version {}\n", plain(&manifest.name), manifest.counter),
        format!(
            "Packed {} by {} {}.\n",
            manifest.created, manifest.tool.name, manifest.tool.version
        ),
        format!("## Intended use\n\n{}\n", plain(&manifest.intended_use)),
    ];
    lines.extend(base(&manifest.base));
    lines.push("## Modules\n".into());
    lines.extend(modules.iter().flat_map(|module| module::section(module, manifest)));
    lines.extend(compositions(manifest));
    lines.push("## Limits\n".into());
    lines.push(
        "The results hold for images like those that they were measured on. Other scanners, \
         stains and"
            .into(),
    );
    lines.push("patients can be worse: measure on your own images first.".into());
    lines.extend(manifest.heads.iter().map(|head| calibration::sentence(head, modules)));
    lines.into_iter().map(|line| line + "\n").collect()
}

fn base(base: &Base) -> [String; 3] {
    let [height, width] = base.image_size;
    [
        "## Base\n".into(),
        format!(
            "A frozen vision transformer of the family {}: {} layers,",
            base.family, base.layers
        ),
        format!(
            "{} features, input {height} x {width} pixels. Digest `{}`.\n",
            base.feature_size, base.digest
        ),
    ]
}

/// Who takes part in which task, as a table.
fn compositions(manifest: &Manifest) -> Vec<String> {
    let mut lines =
        vec!["## Who takes part\n\n| task | how | module | weight |\n|---|---|---|---|".to_owned()];
    for composition in &manifest.compositions {
        let how = match composition.mode {
            Mode::Fusion => "fusion",
            Mode::Mixture => "mixture",
            Mode::Routed => "routed",
        };
        lines.extend(composition.parts.iter().map(|part| {
            let task = plain(&composition.task);
            format!("| {task} | {how} | `{}` | {:.4} |", part.module, part.weight)
        }));
    }
    lines.push(String::new());
    lines
}
