//! An evaluation as module cards, contributions and bundles carry it, and in words.

use medforge_runtime::bundle::measured::{self, Measured};

use super::estimate::Estimate;
use super::evaluation::Evaluation;
use super::floor::{Floor, FloorName};
use super::subgroups::{Subgroups, named};
use crate::lora::ModuleCard;

impl Evaluation {
    /// All of it without the confusion matrix.
    pub fn measured(&self) -> Measured {
        Measured {
            images: self.n as u64,
            groups: Some(self.groups as u64),
            metrics: stated(&self.metrics),
            floors: self.floors.iter().map(Floor::measured).collect(),
            subgroups: self.subgroups.iter().map(Subgroups::measured).collect(),
            no_intervals: self.intervals.missing.clone(),
        }
    }

    /// Records it in a module's card.
    pub fn record(&self, card: &mut ModuleCard) {
        (card.metrics, card.measured) = (self.recorded(), Some(self.measured()));
        card.subgroups.clear();
    }
}

impl Floor {
    fn measured(&self) -> measured::Floor {
        let (metrics, difference) = (stated(&self.metrics), self.difference.measured());
        measured::Floor {
            name: self.name.key().to_owned(),
            metrics,
            difference,
            beaten: self.beaten,
        }
    }
}

impl Subgroups {
    fn measured(&self) -> measured::Subgroups {
        let values = self.values.iter().map(|value| measured::Subgroup {
            value: value.value.clone(),
            n: value.n as u64,
            groups: value.groups as u64,
            classes: value.classes as u64,
            metrics: stated(&value.metrics),
            too_few: value.too_few.clone(),
        });
        let gaps = self.gaps.iter().map(|gap| measured::Gap {
            best: gap.best.clone(),
            worst: gap.worst.clone(),
            difference: gap.difference.measured(),
            chance: gap.chance,
        });
        measured::Subgroups { by: self.by.clone(), values: values.collect(), gaps: gaps.collect() }
    }
}

impl Estimate {
    fn measured(&self) -> measured::Estimate {
        let (name, value) = (self.name.key().to_owned(), self.value);
        measured::Estimate { name, value, low: self.low, high: self.high }
    }
}

fn stated(estimates: &[Estimate]) -> Vec<measured::Estimate> {
    estimates.iter().map(Estimate::measured).collect()
}

/// What is said where nobody measured.
pub const NEVER: &str = "never evaluated: no result was recorded (`packer eval --record` does)";

/// What was measured, line by line: what the line is about, and its text. Every number has its
/// interval.
pub fn words(measured: &Measured) -> Vec<(&'static str, String)> {
    let mut lines = vec![("measured on", sample(measured))];
    if let Some(why) = &measured.no_intervals {
        lines.push(("no intervals", why.clone()));
    }
    lines.extend(measured.metrics.iter().map(|metric| ("result", figure(metric))));
    for floor in &measured.floors {
        lines.push(("floor", format!("{}: {}", title(floor), figures(&floor.metrics))));
    }
    lines.extend(measured.floors.iter().map(|floor| ("verdict", verdict(floor))));
    for subgroups in &measured.subgroups {
        for value in &subgroups.values {
            let what = match &value.too_few {
                Some(why) => format!("too few: {why}"),
                None => figures(&value.metrics),
            };
            lines.push(("subgroup", format!("{}: {what}", subgroup(&subgroups.by, value))));
        }
        lines.extend(subgroups.gaps.iter().map(|gap| ("gap", apart(&subgroups.by, gap))));
    }
    lines
}

/// How many images and groups it was measured on.
pub fn sample(measured: &Measured) -> String {
    match measured.groups {
        Some(groups) => format!("{} images of {groups} groups (patients)", measured.images),
        None => {
            format!("{} images; of how many groups (patients) was not recorded", measured.images)
        }
    }
}

/// A metric with its interval.
pub fn figure(estimate: &measured::Estimate) -> String {
    format!("{} {:.3} ({})", estimate.name, estimate.value, range(estimate))
}

/// The interval of a metric.
pub fn range(estimate: &measured::Estimate) -> String {
    match (estimate.low, estimate.high) {
        (Some(low), Some(high)) => format!("{low:.3} to {high:.3}"),
        _ => "no interval".to_owned(),
    }
}

/// Whether the model beats a floor: a sentence without its full stop.
pub fn verdict(floor: &measured::Floor) -> String {
    let (title, difference) = (title(floor), &floor.difference);
    let numbers = format!("{} {:+.3}, {}", difference.name, difference.value, range(difference));
    let worse = difference.high.is_some_and(|high| high < 0.0);
    let known = FloorName::ALL.into_iter().find(|name| name.key() == floor.name);
    match (floor.beaten, worse) {
        (true, _) => format!("beats {title} ({numbers})"),
        (_, true) => format!("WORSE than {title} ({numbers})"),
        _ => {
            let meaning = known.map_or(String::new(), |name| format!(": {}", name.warning()));
            format!("NOT shown to beat {title} ({numbers}){meaning}")
        }
    }
}

/// A floor's name in tables.
pub fn title(floor: &measured::Floor) -> &str {
    FloorName::ALL
        .into_iter()
        .find(|name| name.key() == floor.name)
        .map_or(&floor.name, |name| name.title())
}

/// A value of an attribute, with the images and groups it was measured on.
pub fn subgroup(by: &str, value: &measured::Subgroup) -> String {
    format!("{by} {} ({} images of {} groups)", named(&value.value), value.n, value.groups)
}

/// How far the best and the worst value of an attribute are apart.
pub fn apart(by: &str, gap: &measured::Gap) -> String {
    let (difference, best, worst) = (&gap.difference, named(&gap.best), named(&gap.worst));
    let chance =
        gap.chance.map_or(String::new(), |chance| format!("; chance makes up to {chance:.3}"));
    format!(
        "{by}: {} {:+.3} ({}), {best} over {worst}{chance}",
        difference.name,
        difference.value,
        range(difference)
    )
}

/// Metrics with their intervals, on one line.
pub fn figures(estimates: &[measured::Estimate]) -> String {
    estimates.iter().map(figure).collect::<Vec<_>>().join(", ")
}
