//! What a condensed set says of itself: its record, and its labels.

use crate::Error;
use crate::data::{Labels, Record};
use crate::lora::Module;
use crate::predict::probabilities;

use super::bank::Bank;
use super::plan::Plan;
use super::privacy::Accounting;
use super::settings::CondenseSettings;
use super::source::Source;

/// The record of a set made from the real images `members` of the bank; `loss` at the start and at
/// the end.
pub(super) fn record(
    Source { vit, classes, images, module }: Source,
    task: &str,
    settings: &CondenseSettings,
    bank: &Bank,
    members: &[usize],
    loss: [f64; 2],
) -> Result<Record, Error> {
    let accounting = bank.released().map(|r| &r.accounting);
    let mut groups: Vec<usize> =
        members.iter().map(|&m| images.groups()[bank.images()[m]]).collect();
    groups.sort_unstable();
    groups.dedup();
    let image_size = u32::try_from(settings.size).unwrap_or(u32::MAX);
    Ok(Record {
        format: Record::FORMAT.into(),
        version: Record::VERSION,
        task: task.to_owned(),
        classes: classes.to_vec(),
        per_class: settings.per_class,
        image_size,
        base_digest: vit.digest(),
        preprocessing: vit.preprocessing_for(image_size)?,
        start: settings.start,
        labels: settings.labels,
        real_images: accounting.is_none().then_some(members.len()),
        real_groups: accounting.is_none().then_some(groups.len()),
        module: module.map(Module::factors_digest).transpose()?,
        settings: serde_json::to_value(settings).expect("settings are plain data"),
        loss,
        privacy: accounting
            .map(|a: &Accounting| serde_json::to_value(a).expect("an accounting is plain data")),
    })
}

/// The labels of a set [n, classes]: one-hot rows, or the module's mean probabilities over the real
/// images of each target.
pub(super) fn labels(
    Source { classes, module, .. }: Source,
    settings: &CondenseSettings,
    bank: &Bank,
    members: &[usize],
    plan: &Plan,
    labels: &[usize],
) -> Vec<f32> {
    let one_hot =
        |label: usize| (0..classes.len()).map(move |c| f32::from(c == label)).collect::<Vec<_>>();
    let (Labels::Soft, Some(module)) = (settings.labels, module) else {
        return labels.iter().flat_map(|&l| one_hot(l)).collect();
    };
    let row = |i: usize| {
        let of_target: Vec<usize> = members
            .iter()
            .copied()
            .filter(|&m| plan.clusters.get(&m) == Some(&plan.of[i]))
            .collect();
        let mut sum = vec![0f64; classes.len()];
        for &m in &of_target {
            let p = probabilities(&module.head, bank.adapted(m));
            sum.iter_mut().zip(p).for_each(|(s, p)| *s += p / of_target.len() as f64);
        }
        sum.into_iter().map(|s| s as f32).collect::<Vec<_>>()
    };
    (0..labels.len()).flat_map(row).collect()
}
