//! Results as tables of a card.

use medforge_runtime::bundle::measured::{Estimate, Measured, Subgroup};

use super::plain::plain;
use crate::eval::measured as words;

/// What was measured, as tables. Every number has its interval.
pub(super) fn results(measured: &Measured) -> String {
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

/// A table of metrics; `of` is the head of its first column.
fn table<'a>(of: &str, rows: impl Iterator<Item = (String, &'a Estimate)>) -> String {
    let row = |(of, m): (String, &Estimate)| {
        format!("| {} | {} | {:.3} | {} |\n", plain(&of), plain(&m.name), m.value, words::range(m))
    };
    format!(
        "\n| {of} | metric | value | 95 % interval |\n|---|---|---|---|\n{}",
        rows.map(row).collect::<String>()
    )
}
