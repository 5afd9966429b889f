//! The parts of the page about held-out patients.

use super::super::outcome::{Demo, balanced};
use super::super::study::Study;
use crate::eval::{Estimate, Evaluation, Metric, bootstrap};
use crate::report::{Block, Confusion, Interval, Metrics};

/// Each module on the held-out patients of its own hospital.
pub fn held_out(demo: &Demo) -> Vec<Block> {
    let mut blocks = vec![Block::Heading("Held-out patients of the own hospital".into())];
    blocks.push(Block::Text(format!(
        "Each module on patients that it never saw, beside two floors fitted on the same training \
         images: a linear probe on the frozen base, and \
         logistic regression on six colour statistics. Small figures: 95 % intervals from {} \
         bootstrap resamples of whole patients.",
        bootstrap::RESAMPLES
    )));
    let mut confusions = Vec::new();
    for (own, study) in demo.studies.iter().enumerate() {
        let evaluation = &demo.results[own][own].evaluation;
        blocks.push(Block::Metrics(metrics(study, evaluation)));
        blocks
            .push(Block::Text(evaluation.floors.iter().map(|f| f.sentence()).collect::<String>()));
        confusions.push(Confusion {
            caption: study.module.card.task.clone(),
            classes: evaluation.classes.clone(),
            counts: evaluation.confusion.clone(),
        });
    }
    blocks.push(Block::Confusions(confusions));
    blocks
}

fn metrics(study: &Study, evaluation: &Evaluation) -> Metrics {
    let row = |metrics: &[Estimate]| {
        let value = |name: &Metric| metrics.iter().find(|e| e.name == *name).map(Interval::from);
        Metric::ALL.iter().map(value).collect::<Vec<_>>()
    };
    let mut rows = vec![("module".to_owned(), row(&evaluation.metrics))];
    rows.extend(
        evaluation.floors.iter().map(|floor| (floor.name.title().to_owned(), row(&floor.metrics))),
    );
    Metrics {
        caption: format!(
            "{} at hospital {}: {} images of {} patients",
            study.module.card.task, study.hospital.name, evaluation.n, evaluation.groups
        ),
        columns: Metric::ALL.iter().map(|m| m.title().to_owned()).collect(),
        rows,
        bars: None,
    }
}

/// Each module at the other hospitals.
pub fn across(demo: &Demo) -> Vec<Block> {
    let value =
        |module: usize, host: usize| balanced(&demo.results[module][host].evaluation.metrics);
    let hosts = 0..demo.studies.len();
    let mut rows: Vec<_> = demo
        .studies
        .iter()
        .enumerate()
        .map(|(i, study)| {
            let cells = hosts.clone().map(|host| value(i, host).map(Interval::from)).collect();
            (format!("module {}", study.module.card.task), cells)
        })
        .collect();
    for (floor, name) in ["linear probe", "colour alone"].into_iter().enumerate() {
        let cell = |host: usize| {
            balanced(&demo.results[host][host].evaluation.floors[floor].metrics).map(Interval::from)
        };
        rows.push((format!("{name}, fitted at that hospital"), hosts.clone().map(cell).collect()));
    }
    let mean = |home: bool| {
        let pairs = hosts
            .clone()
            .flat_map(|m| hosts.clone().map(move |h| (m, h)))
            .filter(|(m, h)| (m == h) == home);
        let values: Vec<f64> = pairs.filter_map(|(m, h)| Some(value(m, h)?.value)).collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    let (home, away) = (mean(true), mean(false));
    vec![
        Block::Heading("Each module at the other hospitals".into()),
        Block::Text(format!(
            "Who helps whom: a module may be asked about images of a hospital that it never saw. \
             Mean balanced accuracy is {home:.3} at home and \
             {away:.3} away, a difference of {:+.3}.",
            away - home
        )),
        Block::Metrics(Metrics {
            caption: "Balanced accuracy on held-out patients".into(),
            columns: demo
                .studies
                .iter()
                .map(|s| format!("tested at hospital {}", s.hospital.name))
                .collect(),
            rows,
            bars: None,
        }),
    ]
}
