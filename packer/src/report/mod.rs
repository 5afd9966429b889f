//! A report: one HTML page that holds everything it shows and asks nothing of any network.
//!
//! A page is a list of blocks (facts, line charts, tables of metrics, confusion matrices, picture
//! galleries, notes). It follows the reader's light or dark setting, prints, and says in words what
//! its colours say. Every text is escaped; a content security policy forbids scripts and anything
//! from elsewhere, so that a class named `<script>` stays a name.

mod chart;
mod html;
mod table;

use serde_json::Value;

use crate::Error;
use crate::output::NewFile;

/// A page.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub title: String,
    /// One or two sentences under the title.
    pub summary: String,
    pub blocks: Vec<Block>,
}

/// A piece of a page.
#[derive(Clone, Debug)]
pub enum Block {
    /// Begins a section.
    Heading(String),
    Text(String),
    /// A text that must not be missed.
    Note(String),
    /// Names and values, in two columns.
    Facts(Vec<(String, String)>),
    /// Charts that stand beside each other where there is room.
    Charts(Vec<Chart>),
    Metrics(Metrics),
    /// Confusion matrices, beside each other where there is room.
    Confusions(Vec<Confusion>),
    Gallery(Gallery),
}

/// Lines over a common axis.
#[derive(Clone, Debug)]
pub struct Chart {
    pub title: String,
    pub x_label: String,
    pub y_label: String,
    /// The vertical range if it is given by nature, such as 0 to 1; else that of the values.
    pub range: Option<(f64, f64)>,
    pub lines: Vec<Line>,
}

/// One line of a chart. Points that are not finite are left out.
#[derive(Clone, Debug)]
pub struct Line {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

/// Values with their intervals: a row for each model, a column for each metric.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub caption: String,
    pub columns: Vec<String>,
    pub rows: Vec<(String, Vec<Option<Interval>>)>,
    /// The range over which every value is also drawn, as a bar with its interval as whiskers.
    pub bars: Option<(f64, f64)>,
}

/// A value and, if it could be estimated, its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    pub value: f64,
    pub interval: Option<(f64, f64)>,
}

/// Numbers of images, `counts[truth][prediction]`.
#[derive(Clone, Debug)]
pub struct Confusion {
    pub caption: String,
    pub classes: Vec<String>,
    pub counts: Vec<Vec<u64>>,
}

/// Pictures with what is known of them.
#[derive(Clone, Debug)]
pub struct Gallery {
    pub caption: String,
    pub pictures: Vec<Picture>,
}

/// One picture.
#[derive(Clone, Debug)]
pub struct Picture {
    /// A PNG file's bytes.
    pub png: Vec<u8>,
    pub truth: Option<String>,
    pub prediction: Option<Prediction>,
    /// Where it comes from.
    pub source: String,
}

/// What a model said.
#[derive(Clone, Debug)]
pub struct Prediction {
    pub class: String,
    /// 0 to 1.
    pub probability: f64,
}

/// The values of a JSON object by their names, those of objects inside under both names; lists in
/// one line.
pub fn facts_of(value: &Value) -> Vec<(String, String)> {
    fn text(value: &Value) -> String {
        match value {
            Value::String(text) => text.clone(),
            Value::Null => "none".into(),
            Value::Array(all) if all.is_empty() => "none".into(),
            Value::Array(all) => all.iter().map(text).collect::<Vec<_>>().join(", "),
            other => other.to_string(),
        }
    }
    let Value::Object(fields) = value else { return vec![] };
    let fact = |(name, value): (&String, &Value)| match value {
        Value::Object(_) => facts_of(value)
            .into_iter()
            .map(|(inner, text)| (format!("{}: {inner}", name.replace('_', " ")), text))
            .collect(),
        _ => vec![(name.replace('_', " "), text(value))],
    };
    fields.iter().flat_map(fact).collect()
}

impl Report {
    /// The page as HTML.
    pub fn html(&self) -> String {
        html::page(self)
    }

    /// Writes the page to `file`: whole or not at all.
    pub fn write(&self, file: &NewFile) -> Result<(), Error> {
        file.write(self.html().as_bytes())
    }
}

#[cfg(test)]
mod tests;
