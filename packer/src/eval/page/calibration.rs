//! The page's section on calibration.

use super::super::details::Confidence;
use super::super::evaluation::Evaluation;
use super::super::metrics::{BINS, Metric};
use crate::report::{Block, Chart, Interval, Line, Metrics};

/// How far the probabilities can be believed, from the bins that have images.
pub(super) fn section(evaluation: &Evaluation, bins: &[Confidence]) -> Vec<Block> {
    let line = |name: &str, value: &dyn Fn(Interval) -> Option<f64>| Line {
        name: name.into(),
        points: bins.iter().filter_map(|bin| Some((bin.confidence, value(bin.right)?))).collect(),
    };
    let mut lines = vec![
        line("classified rightly", &|right| Some(right.value)),
        Line { name: "as it should be".into(), points: vec![(0.0, 0.0), (1.0, 1.0)] },
        line("lower end of its interval", &|right| Some(right.interval?.0)),
        line("upper end of its interval", &|right| Some(right.interval?.1)),
    ];
    lines.retain(|line| !line.points.is_empty());
    let rows = bins.iter().map(|bin| {
        let probability = Interval { value: bin.confidence, interval: None };
        (format!("{} images", bin.images), vec![Some(probability), Some(bin.right)])
    });
    let error = evaluation.metric(Metric::CalibrationError);
    let error = error.map_or(String::new(), |e| {
        format!(
            "The expected calibration error is {:.3} (95 % interval {}). ",
            e.value,
            e.range("")
        )
    });
    vec![
        Block::Heading("How far probabilities can be believed".into()),
        Block::Text(format!(
            "{error}Images are sorted by the probability of their predicted class into {BINS} bins \
             of equal width (Guo et al. 2017). In a bin of probability p, the fraction p should be \
             classified rightly. With few images the error looks larger than it is."
        )),
        Block::Charts(vec![Chart {
            title: "Reliability".into(),
            x_label: "mean probability of the predicted class".into(),
            y_label: "share classified rightly".into(),
            range: Some((0.0, 1.0)),
            lines,
        }]),
        Block::Metrics(Metrics {
            caption: "The bins that have images".into(),
            columns: ["mean probability", "classified rightly"].map(String::from).into(),
            rows: rows.collect(),
            bars: None,
        }),
    ]
}
