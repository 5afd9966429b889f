//! What a chart shows, in words and numbers.

use super::super::block::{Chart, Line};
use super::super::escape::escape;

/// The chart in a few sentences, for readers who do not see it.
pub(super) fn in_words(chart: &Chart, lines: &[Line]) -> String {
    let mut words = format!("{}: {} over {}.", chart.title, chart.y_label, chart.x_label);
    for line in lines {
        if let (Some(first), Some(last)) = (line.points.first(), line.points.last()) {
            words += &format!(" {} goes from {} to {}.", line.name, short(first.1), short(last.1));
        }
    }
    words
}

/// The numbers of the lines, as a table that opens on a click.
pub(super) fn numbers(chart: &Chart, lines: &[Line]) -> String {
    let mut all: Vec<f64> = lines.iter().flat_map(|l| l.points.iter().map(|p| p.0)).collect();
    all.sort_by(f64::total_cmp);
    all.dedup();
    let head: String =
        lines.iter().map(|l| format!("<th scope=\"col\">{}</th>", escape(&l.name))).collect();
    let mut rows = String::new();
    for x in all {
        let value = |line: &Line| {
            line.points.iter().find(|p| p.0 == x).map_or("\u{2013}".to_owned(), |p| short(p.1))
        };
        let cells: String = lines.iter().map(|l| format!("<td>{}</td>", value(l))).collect();
        rows += &format!("<tr><th scope=\"row\">{}</th>{cells}</tr>\n", short(x));
    }
    let label = escape(&chart.x_label);
    format!(
        "<details><summary>Numbers</summary><table><thead><tr><th \
         scope=\"col\">{label}</th>{head}</tr></thead>\n\
         <tbody>\n{rows}</tbody></table></details>\n"
    )
}

/// `value` with four significant digits.
fn short(value: f64) -> String {
    let size = value.abs();
    if value == value.trunc() && size < 1e6 {
        format!("{value:.0}")
    } else if (1e-3..1e5).contains(&size) {
        let decimals = (3.0 - size.log10().floor()).max(0.0) as usize;
        format!("{value:.decimals$}")
    } else {
        format!("{value:.3e}")
    }
}
