//! Tables: metrics with their intervals and, if asked for, bars; confusion matrices. A cell's shade
//! is its share of the row.

use super::block::{Confusion, Interval, Metrics};
use super::escape::escape;

/// A table of metrics.
pub fn metrics(metrics: &Metrics) -> String {
    let head: String =
        metrics.columns.iter().map(|c| format!("<th scope=\"col\">{}</th>", escape(c))).collect();
    let mut rows = String::new();
    for (name, values) in &metrics.rows {
        let cell = |value: &Option<Interval>| match value {
            Some(value) => {
                format!(
                    "<td>{}{}</td>",
                    estimate(*value),
                    metrics.bars.map_or(String::new(), |r| bar(*value, r))
                )
            }
            None => "<td>\u{2013}</td>".to_owned(),
        };
        let cells: String = values.iter().map(cell).collect();
        rows += &format!("<tr><th scope=\"row\">{}</th>{cells}</tr>\n", escape(name));
    }
    let caption = escape(&metrics.caption);
    format!(
        "<div class=\"scroll\"><table \
         class=\"metrics\">\n<caption>{caption}</caption>\n\
         <thead><tr><td></td>{head}</tr></thead>\n\
         <tbody>\n{rows}</tbody>\n</table></div>\n"
    )
}

/// A confusion matrix.
pub fn confusion(confusion: &Confusion) -> String {
    let head: String =
        confusion.classes.iter().map(|c| format!("<th scope=\"col\">{}</th>", escape(c))).collect();
    let mut rows = String::new();
    for (truth, (class, counts)) in confusion.classes.iter().zip(&confusion.counts).enumerate() {
        let total: u64 = counts.iter().sum();
        rows += &format!("<tr><th scope=\"row\">{}</th>", escape(class));
        for (prediction, count) in counts.iter().enumerate() {
            let share = *count as f64 / total.max(1) as f64;
            let right = if truth == prediction { " class=\"right\"" } else { "" };
            rows += &format!(
                "<td{right} \
                 style=\"--share:{share:.3}\"><span>{count}</span><small>{:.0}&nbsp;%</small></td>",
                100.0 * share
            );
        }
        rows += "</tr>\n";
    }
    let caption = escape(&confusion.caption);
    format!(
        "<div class=\"scroll\"><table class=\"confusion\">\n<caption>{caption}</caption>\n\
         <thead><tr><td>truth \\ predicted</td>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n\
         </table></div>\n"
    )
}

fn estimate(estimate: Interval) -> String {
    let Interval { value, interval } = estimate;
    let range = interval
        .map_or(String::new(), |(low, high)| format!(" <small>{low:.3} to {high:.3}</small>"));
    format!("<span>{value:.3}</span>{range}")
}

/// The value as a bar over a range, with its interval as whiskers. Its numbers stand beside it.
fn bar(estimate: Interval, (low, high): (f64, f64)) -> String {
    let place = |v: f64| 100.0 * ((v - low) / (high - low)).clamp(0.0, 1.0);
    let whiskers = estimate.interval.map_or(String::new(), |(low, high)| {
        let (a, b) = (place(low), place(high));
        format!("<path d=\"M{a:.1} 5H{b:.1}M{a:.1} 2V8M{b:.1} 2V8\"/>")
    });
    format!(
        "<svg class=\"bar\" viewBox=\"0 0 100 10\" aria-hidden=\"true\"><rect class=\"track\" \
         width=\"100\" height=\"10\"/>\
         <rect width=\"{:.1}\" height=\"10\"/>{whiskers}</svg>",
        place(estimate.value)
    )
}
