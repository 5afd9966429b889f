//! The demonstration's page.

use super::options::Options;
use super::outcome::Demo;
use super::pack::Classified;
use super::study::Study;
use crate::base::{Vit, embedded};
use crate::report::{Block, Chart, Gallery, Line, Report};

mod bundle;
mod facts;
mod results;

use bundle::bundle;
use facts::{fact, megabytes, seconds};
use results::{across, held_out};

/// The page of a demonstration.
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
