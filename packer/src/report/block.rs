//! What a page is made of.

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
    /// The vertical range, if the quantity has one, such as 0 to 1. Else it is that of the values.
    pub range: Option<(f64, f64)>,
    pub lines: Vec<Line>,
}

/// One line of a chart. Points that are not finite are left out.
#[derive(Clone, Debug)]
pub struct Line {
    pub name: String,
    pub points: Vec<(f64, f64)>,
}

/// Values with their intervals: a row for each model or subgroup, a column for each metric.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub caption: String,
    pub columns: Vec<String>,
    pub rows: Vec<(String, Vec<Option<Interval>>)>,
    /// If given, every value is also drawn as a bar over this range, with its interval as whiskers.
    pub bars: Option<(f64, f64)>,
}

/// A value with its 95 % interval, if there is one.
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

/// Pictures, each with its true and predicted class.
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
