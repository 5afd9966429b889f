//! Line charts as inline SVG. Lines differ by colour (Okabe and Ito's, safe for colour-blind
//! readers), by dash and by marker, and the numbers stand in a table under the chart.

use super::html::escape;
use super::{Chart, Line};

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 44.0;
const DASHES: [&str; 4] = ["", "7 4", "2 3", "9 3 2 3"];
/// Lines beyond this many repeat colours.
const COLOURS: usize = 6;
/// Points beyond this many are drawn without markers.
const MARKED: usize = 40;

pub fn figure(chart: &Chart) -> String {
    let lines: Vec<Line> = chart.lines.iter().map(finite).collect();
    let points = || lines.iter().flat_map(|l| &l.points);
    let title = escape(&chart.title);
    if points().next().is_none() {
        return format!(
            "<figure><figcaption>{title}</figcaption><p>There is nothing to draw.</p></figure>\n"
        );
    }
    let x = Axis::exact(points().map(|p| p.0));
    let y = match chart.range {
        Some((low, high)) => Axis::over(low, high),
        None => Axis::around(points().map(|p| p.1)),
    };
    let (x_at, y_at) =
        (|v: f64| x.place(v, LEFT, WIDTH - RIGHT), |v: f64| y.place(v, HEIGHT - BOTTOM, TOP));

    let mut svg = String::new();
    for (tick, label) in y.ticks() {
        let at = y_at(tick);
        svg += &format!(
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>",
            WIDTH - RIGHT
        );
        svg += &format!(
            "<text class=\"tick\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>\n",
            LEFT - 6.0,
            at + 4.0
        );
    }
    for (tick, label) in x.ticks() {
        let at = x_at(tick);
        let y = HEIGHT - BOTTOM + 16.0;
        svg += &format!(
            "<text class=\"tick\" x=\"{at:.1}\" y=\"{y}\" text-anchor=\"middle\">{label}</text>\n"
        );
    }
    let (middle, low) = (LEFT + (WIDTH - LEFT - RIGHT) / 2.0, HEIGHT - 8.0);
    svg += &format!(
        "<text x=\"{middle}\" y=\"{low}\" text-anchor=\"middle\">{}</text>\n",
        escape(&chart.x_label)
    );
    let centre = TOP + (HEIGHT - TOP - BOTTOM) / 2.0;
    svg += &format!(
        "<text transform=\"translate(12 {centre}) rotate(-90)\" text-anchor=\"middle\">{}</text>\n",
        escape(&chart.y_label)
    );
    for (index, line) in lines.iter().enumerate() {
        let (class, dash) = (index % COLOURS, DASHES[index % DASHES.len()]);
        let path: Vec<String> =
            line.points.iter().map(|&(a, b)| format!("{:.1},{:.1}", x_at(a), y_at(b))).collect();
        svg += &format!(
            "<polyline class=\"line c{class}\" stroke-dasharray=\"{dash}\" points=\"{}\"/>\n",
            path.join(" ")
        );
        if line.points.len() <= MARKED {
            for &(a, b) in &line.points {
                svg += &marker(index, x_at(a), y_at(b), class);
            }
        }
    }
    format!(
        "<figure class=\"chart\">\n<figcaption>{title}</figcaption>\n\
         <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-label=\"{}\">\n{svg}</svg>\n{}{}</figure>\n",
        escape(&in_words(chart, &lines)),
        legend(&lines),
        numbers(chart, &lines),
    )
}

/// What the chart shows, for those who do not see it.
fn in_words(chart: &Chart, lines: &[Line]) -> String {
    let mut words = format!("{}: {} over {}.", chart.title, chart.y_label, chart.x_label);
    for line in lines {
        if let (Some(first), Some(last)) = (line.points.first(), line.points.last()) {
            words += &format!(" {} goes from {} to {}.", line.name, short(first.1), short(last.1));
        }
    }
    words
}

fn legend(lines: &[Line]) -> String {
    if lines.len() < 2 {
        return String::new();
    }
    let mut items = String::new();
    for (index, line) in lines.iter().enumerate() {
        let (class, dash) = (index % COLOURS, DASHES[index % DASHES.len()]);
        items += &format!(
            "<li><svg viewBox=\"0 0 34 12\" aria-hidden=\"true\"><line class=\"line c{class}\" \
             stroke-dasharray=\"{dash}\" x1=\"0\" \
             x2=\"34\" y1=\"6\" y2=\"6\"/>{}</svg>{}</li>\n",
            marker(index, 17.0, 6.0, class),
            escape(&line.name)
        );
    }
    format!("<ul class=\"legend\">\n{items}</ul>\n")
}

/// The numbers themselves, folded away.
fn numbers(chart: &Chart, lines: &[Line]) -> String {
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

/// A disc, a square, a triangle or a diamond.
fn marker(index: usize, x: f64, y: f64, class: usize) -> String {
    let shape = match index % 4 {
        0 => {
            return format!(
                "<circle class=\"mark c{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>"
            );
        }
        1 => [(-2.8, -2.8), (2.8, -2.8), (2.8, 2.8), (-2.8, 2.8)].as_slice(),
        2 => &[(0.0, -3.8), (3.4, 2.6), (-3.4, 2.6)],
        _ => &[(0.0, -3.9), (3.9, 0.0), (0.0, 3.9), (-3.9, 0.0)],
    };
    let points: Vec<String> =
        shape.iter().map(|(dx, dy)| format!("{:.1},{:.1}", x + dx, y + dy)).collect();
    format!("<polygon class=\"mark c{class}\" points=\"{}\"/>", points.join(" "))
}

fn finite(line: &Line) -> Line {
    let points =
        line.points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
    Line { name: line.name.clone(), points }
}

struct Axis {
    low: f64,
    high: f64,
    step: f64,
}

impl Axis {
    fn over(low: f64, high: f64) -> Axis {
        let (low, high) = if high > low { (low, high) } else { (low - 0.5, low + 0.5) };
        let rough = (high - low) / 5.0;
        let power = 10f64.powf(rough.log10().floor());
        let step = power
            * [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().find(|m| m * power >= rough).unwrap_or(10.0);
        Axis { low, high, step }
    }

    /// From the least to the largest value, with ticks at whole numbers where all values are.
    fn exact(values: impl Iterator<Item = f64> + Clone) -> Axis {
        let (low, high) = extent(values.clone());
        let axis = Axis::over(low, high);
        match { values }.all(|v| v == v.trunc()) {
            true => Axis { step: axis.step.ceil(), ..axis },
            false => axis,
        }
    }

    /// A little wider than the values, on ticks; from 0 if they are near it.
    fn around(values: impl Iterator<Item = f64>) -> Axis {
        let (low, high) = extent(values);
        let low = if low >= 0.0 && low < 0.5 * high { 0.0 } else { low };
        let axis = Axis::over(low, high);
        let (low, high) = (
            (axis.low / axis.step).floor() * axis.step,
            (axis.high / axis.step).ceil() * axis.step,
        );
        Axis { low, high, step: axis.step }
    }

    fn place(&self, value: f64, from: f64, to: f64) -> f64 {
        from + (to - from) * ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    fn ticks(&self) -> Vec<(f64, String)> {
        let first = (self.low / self.step - 1e-6).ceil();
        let count = (((self.high / self.step + 1e-6).floor() - first) as usize).min(20);
        let decimals = (-self.step.log10().floor()).clamp(0.0, 12.0) as usize;
        let decimals = if self.step / 10f64.powi(-(decimals as i32)) % 1.0 > 0.01 {
            decimals + 1
        } else {
            decimals
        };
        let small = self.high.abs().max(self.low.abs()) < 0.01;
        let label = |tick: f64| match (small, tick == 0.0) {
            (true, true) => "0".to_owned(),
            (true, false) => format!("{tick:.1e}"),
            (false, _) => format!("{tick:.decimals$}"),
        };
        (0..=count)
            .map(|i| (first + i as f64) * self.step)
            .map(|tick| (tick, label(tick)))
            .collect()
    }
}

fn extent(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)))
}

/// Four significant digits.
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
