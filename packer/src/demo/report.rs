//! The demonstration's page.

use super::pack::{Classified, TOLERANCE};
use super::study::Study;
use super::{Demo, Options};
use crate::base::{Vit, embedded};
use crate::eval::{Estimate, Evaluation, Metric, bootstrap};
use crate::report::{Block, Chart, Confusion, Gallery, Interval, Line, Metrics, Report};

pub fn page(
    demo: &Demo,
    vit: &Vit,
    options: &Options,
    classified: &[Classified],
    galleries: Vec<Gallery>,
) -> Report {
    let total: f64 = demo.stages.iter().map(|(_, time)| time.as_secs_f64()).sum();
    let mut blocks = vec![Block::Note(
        "Every image here is synthetic: a drawing of glands and nuclei by this program, of no \
         person and no organ. The numbers show \
         that the machinery works. They say nothing about real tissue, and nothing here is fit for \
         diagnosis or treatment."
            .into(),
    )];
    blocks.extend(setup(demo, vit, options));
    blocks.extend(training(&demo.studies));
    blocks.extend(held_out(demo));
    blocks.extend(across(demo));
    blocks.extend(bundle(demo, classified));
    blocks.push(Block::Heading("Pictures that no training saw".into()));
    blocks.push(Block::Text(
        "Of each hospital the first held-out picture of each class, then, of the others, the one \
         whose true class got the lowest \
         probability. Predicted by the runtime from the signed bundle."
            .into(),
    ));
    blocks.extend(galleries.into_iter().map(Block::Gallery));
    Report {
        title: "MedForge demonstration".into(),
        summary: format!(
            "Three hospitals keep their images and share only small modules, which travel in one \
             signed bundle. Made, measured, \
             verified and used on this computer in {total:.0} seconds."
        ),
        blocks,
    }
}

/// Balanced accuracy among `metrics`.
pub fn balanced(metrics: &[Estimate]) -> Option<&Estimate> {
    metrics.iter().find(|e| e.name == Metric::BalancedAccuracy)
}

fn setup(demo: &Demo, vit: &Vit, options: &Options) -> Vec<Block> {
    let c = &vit.config;
    let base: usize = embedded::FILES.iter().map(|(_, bytes)| bytes.len()).sum();
    let data = &demo.studies[0].data;
    let [train, test] = [crate::data::Split::Train, crate::data::Split::Test].map(|split| {
        format!("{} of {} patients", data.indices(split).len(), data.group_count(split))
    });
    let facts = vec![
        fact(
            "Base",
            format!(
                "vision transformer, {} layers of width {}, {} heads, patches of {} pixels, {} in \
                 the program",
                c.layers,
                c.hidden,
                c.heads,
                c.patch,
                megabytes(base)
            ),
        ),
        fact(
            "Images",
            format!("{} of each hospital: {train} to train, {test} held out", options.images),
        ),
        fact("Classes", data.classes.join(", ")),
        fact(
            "Modules",
            format!(
                "LoRA of rank {} on q and v, {} epochs",
                demo.studies[0].module.rank, options.epochs
            ),
        ),
        fact("Seed", options.seed.to_string()),
    ];
    let times =
        demo.stages.iter().map(|(what, time)| fact(what, seconds(time.as_secs_f64()))).collect();
    let known = "The hospitals differ in stain, scanner and noise. The base was itself trained on \
                 phantoms of the same three hospitals (other \
                 patients), and neighbouring classes overlap by design: a linear probe on it is a \
                 high floor here, and there is little left to \
                 learn from a new hospital.";
    vec![
        Block::Heading("What was done".into()),
        Block::Facts(facts),
        Block::Text(known.into()),
        Block::Heading("Time".into()),
        Block::Facts(times),
    ]
}

fn training(studies: &[Study]) -> Vec<Block> {
    let lines = studies.iter().map(|study| Line {
        name: format!("hospital {}", study.hospital.name),
        points: study.epochs.iter().map(|e| (e.epoch as f64, e.loss)).collect(),
    });
    let chart = Chart {
        title: "Training loss".into(),
        x_label: "epoch".into(),
        y_label: "cross-entropy".into(),
        range: None,
        lines: lines.collect(),
    };
    let facts = studies.iter().map(|study| {
        let module: usize = study
            .module
            .files()
            .map_or(0, |files| files.iter().map(|(_, bytes)| bytes.len()).sum());
        let speed = study
            .images_per_second
            .map_or(String::new(), |s| format!(", {s:.0} training images/s"));
        fact(&study.module.card.task, format!("{}{speed}", megabytes(module)))
    });
    vec![
        Block::Heading("Training".into()),
        Block::Charts(vec![chart]),
        Block::Facts(facts.collect()),
    ]
}

fn held_out(demo: &Demo) -> Vec<Block> {
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

fn across(demo: &Demo) -> Vec<Block> {
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

fn bundle(demo: &Demo, classified: &[Classified]) -> Vec<Block> {
    let packed = &demo.packed;
    let (byte, refusal) = &packed.tampering;
    let images: usize = classified.iter().map(|c| c.results.len()).sum();
    let time: f64 = classified.iter().map(|c| c.time.as_secs_f64()).sum();
    let difference = classified.iter().map(|c| c.difference).fold(0.0, f64::max);
    let facts = vec![
        fact(
            "File",
            format!("demo.medforge, {}: the base and three modules", megabytes(packed.bytes.len())),
        ),
        fact("Id", packed.id.clone()),
        fact(
            "Signature",
            "Ed25519, verified with k.pub; the secret key was never written and is gone".into(),
        ),
        fact(
            "Byte changed",
            format!("byte {byte} of a copy was flipped, and the copy was refused: {refusal}"),
        ),
        fact("Verify and load", seconds(packed.load_time.as_secs_f64())),
        fact(
            "Classify",
            format!(
                "{images} images, {:.1} ms each on all processors",
                1e3 * time / images.max(1) as f64
            ),
        ),
        fact(
            "Agreement",
            format!(
                "runtime and evaluation differ by at most {difference:.1e} in a probability \
                 (allowed: {TOLERANCE:.0e})"
            ),
        ),
        fact("Check it yourself", "packer verify demo.medforge --trust k.pub".into()),
        fact(
            "Classify a picture",
            "packer classify demo.medforge --trust k.pub --task tissue-a IMAGE".into(),
        ),
    ];
    vec![Block::Heading("The bundle".into()), Block::Facts(facts)]
}

fn fact(name: &str, value: String) -> (String, String) {
    (name.to_owned(), value)
}

fn megabytes(bytes: usize) -> String {
    match bytes {
        0..1_000_000 => format!("{:.0} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

fn seconds(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", 1e3 * seconds) } else { format!("{seconds:.1} s") }
}
