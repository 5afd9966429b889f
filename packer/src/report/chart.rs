//! Line charts as inline SVG. Lines differ by colour (Okabe and Ito's, safe for colour-blind
//! readers), by dash and by marker. The numbers stand in a table under the chart.

use super::block::{Chart, Line};
use super::escape::escape;

mod axis;
mod words;

use axis::Axis;
use words::{in_words, numbers};

const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 44.0;
const DASHES: [&str; 4] = ["", "7 4", "2 3", "9 3 2 3"];
/// Further lines repeat the colours.
const COLOURS: usize = 6;
/// A line of more points has no markers.
const MARKED: usize = 40;

/// The chart with its legend and its numbers.
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
    let plot = Plot { x, y };
    let mut svg = plot.frame(chart);
    svg.extend(lines.iter().enumerate().map(|(index, line)| plot.line(index, line)));
    format!(
        "<figure class=\"chart\">\n<figcaption>{title}</figcaption>\n\
         <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-label=\"{}\">\n{svg}</svg>\n{}{}</figure>\n",
        escape(&in_words(chart, &lines)),
        legend(&lines),
        numbers(chart, &lines),
    )
}

/// The axes of one chart, and where its values lie in the picture.
struct Plot {
    x: Axis,
    y: Axis,
}

impl Plot {
    fn x_at(&self, value: f64) -> f64 {
        self.x.place(value, LEFT, WIDTH - RIGHT)
    }

    fn y_at(&self, value: f64) -> f64 {
        self.y.place(value, HEIGHT - BOTTOM, TOP)
    }

    /// The grid, the ticks and the labels of both axes.
    fn frame(&self, chart: &Chart) -> String {
        let mut svg = String::new();
        for (tick, label) in self.y.ticks() {
            let at = self.y_at(tick);
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
        let y = HEIGHT - BOTTOM + 16.0;
        for (tick, label) in self.x.ticks() {
            svg += &format!(
                "<text class=\"tick\" x=\"{:.1}\" y=\"{y}\" text-anchor=\"middle\">{label}\
                 </text>\n",
                self.x_at(tick)
            );
        }
        let (middle, low) = (LEFT + (WIDTH - LEFT - RIGHT) / 2.0, HEIGHT - 8.0);
        svg += &format!(
            "<text x=\"{middle}\" y=\"{low}\" text-anchor=\"middle\">{}</text>\n",
            escape(&chart.x_label)
        );
        let centre = TOP + (HEIGHT - TOP - BOTTOM) / 2.0;
        svg += &format!(
            "<text transform=\"translate(12 {centre}) rotate(-90)\" text-anchor=\"middle\">{}\
             </text>\n",
            escape(&chart.y_label)
        );
        svg
    }

    /// One line; `index` chooses its colour, dash and marker.
    fn line(&self, index: usize, line: &Line) -> String {
        let (class, dash) = (index % COLOURS, DASHES[index % DASHES.len()]);
        let point = |&(a, b): &(f64, f64)| format!("{:.1},{:.1}", self.x_at(a), self.y_at(b));
        let path: Vec<String> = line.points.iter().map(point).collect();
        let mut svg = format!(
            "<polyline class=\"line c{class}\" stroke-dasharray=\"{dash}\" points=\"{}\"/>\n",
            path.join(" ")
        );
        if line.points.len() <= MARKED {
            for &(a, b) in &line.points {
                svg += &marker(index, self.x_at(a), self.y_at(b), class);
            }
        }
        svg
    }
}

/// The names of the lines, if there are several.
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

/// A disc, a square, a triangle or a diamond at a point.
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

/// The line without points that are not finite.
fn finite(line: &Line) -> Line {
    let points =
        line.points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
    Line { name: line.name.clone(), points }
}
