//! A condensation as a page. Names are whatever somebody chose; [`crate::report`] escapes every
//! text.

use medforge_runtime::image::RgbImage8;

use super::privacy::Accounting;
use crate::Error;
use crate::data::phantom::png;
use crate::data::{Condensed, Start};
use crate::report::{Block, Chart, Gallery, Line, Picture, Report, facts_of};

/// Images of a class that are shown.
const SHOWN: usize = 20;
/// Points of a curve at most.
const POINTS: usize = 200;

/// The set as one page that loads nothing. `course` has iterations, counted from 1, and a running
/// mean of the loss at each. A run that was resumed begins at the iteration where it went on.
pub fn page(set: &Condensed, course: &[(usize, f64)]) -> Result<Report, Error> {
    let record = &set.record;
    let fact = |name: &str, value: String| (name.to_owned(), value);
    let number = |count: Option<usize>| count.map_or("not told".into(), |n| n.to_string());
    let [first, last] = record.loss;
    let mut blocks = vec![
        Block::Facts(vec![
            fact("Task", record.task.clone()),
            fact("Classes", record.classes.join(", ")),
            fact(
                "Images",
                format!(
                    "{}, {} of each class, {} pixels a side",
                    set.len(),
                    record.per_class,
                    record.image_size
                ),
            ),
            fact("Real images", number(record.real_images)),
            fact("Their patients", number(record.real_groups)),
            fact("Base", record.base_digest.clone()),
            fact("Module", record.module.clone().unwrap_or_else(|| "none".into())),
            fact("Loss", format!("{first:.4} at the start, {last:.4} at the end")),
        ]),
        Block::Heading("Privacy".into()),
    ];
    blocks.extend(privacy(set));
    blocks.push(Block::Heading("Course of the objective".into()));
    blocks.extend(curve(course));
    blocks.push(Block::Heading("Condensed images".into()));
    blocks.extend(galleries(set)?);
    blocks.extend([Block::Heading("Settings".into()), Block::Facts(facts_of(&record.settings))]);
    Ok(Report {
        title: format!("Condensed set of {}", record.task),
        summary: "Synthetic images that stand in for a contributor's own. They are no patients' \
                  images, and no evidence about any."
            .into(),
        blocks,
    })
}

fn privacy(set: &Condensed) -> Vec<Block> {
    let record = &set.record;
    let accounting =
        record.privacy.as_ref().and_then(|p| serde_json::from_value::<Accounting>(p.clone()).ok());
    match (accounting, record.start) {
        (Some(accounting), _) => {
            let facts =
                serde_json::to_value(&accounting).map(|value| facts_of(&value)).unwrap_or_default();
            let facts = facts.into_iter().filter(|(name, _)| name != "statement").collect();
            vec![Block::Note(accounting.statement), Block::Facts(facts)]
        }
        (None, Start::Real) => {
            let what = "It was started from images of patients, which can still be seen in it: do \
                        not give it away.";
            vec![Block::Note(what.into())]
        }
        (None, Start::Noise) => {
            let what = "Nothing is promised about privacy. What the set gives away, packer \
                        audit-privacy measures; with --epsilon it would be bounded.";
            vec![Block::Note(what.into())]
        }
    }
}

fn curve(course: &[(usize, f64)]) -> Vec<Block> {
    let Some(first) = course.first() else {
        return vec![Block::Text(
            "The run was already done when it was gone on with: there is no course to draw.".into(),
        )];
    };
    let every = course.len().div_ceil(POINTS);
    let kept = course.iter().enumerate().filter(|(i, _)| i % every == 0 || i + 1 == course.len());
    let points = kept.map(|(_, &(iteration, loss))| (iteration as f64, loss)).collect();
    let mut blocks = vec![Block::Charts(vec![Chart {
        title: "Loss of late, over about 20 iterations".into(),
        x_label: "iteration".into(),
        y_label: "loss".into(),
        range: None,
        lines: vec![Line { name: "loss".into(), points }],
    }])];
    if first.0 > 1 {
        blocks.push(Block::Text(format!(
            "The run was gone on with at iteration {}; what came before is not drawn.",
            first.0
        )));
    }
    blocks
}

fn galleries(set: &Condensed) -> Result<Vec<Block>, Error> {
    let classes = set.classes();
    let of_class = |class: usize| {
        let all: Vec<usize> = (0..set.len()).filter(|&i| classes[i] == class).collect();
        let shown = &all[..all.len().min(SHOWN)];
        let picture = |&index: &usize| {
            let side = set.record.image_size;
            let png = png(&RgbImage8::new(set.rgb(index), side, side)?)?;
            let row = &set.labels[index * set.record.classes.len()..][..set.record.classes.len()];
            let source = format!("image {index}, label {:.2}", row[class]);
            Ok(Picture { png, truth: None, prediction: None, source })
        };
        let caption = if all.len() > SHOWN {
            format!("{}: {SHOWN} of {} images", set.record.classes[class], all.len())
        } else {
            format!("{}: {} images", set.record.classes[class], all.len())
        };
        Ok(Block::Gallery(Gallery {
            caption,
            pictures: shown.iter().map(picture).collect::<Result<_, Error>>()?,
        }))
    };
    (0..set.record.classes.len()).map(of_class).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::condensed_tests::set;

    #[test]
    fn the_page_shows_every_image_and_promises_nothing_that_the_record_does_not() {
        let mut set = set();
        let course: Vec<(usize, f64)> = (5..=1004).map(|i| (i, 1.0 / i as f64)).collect();
        let html = page(&set, &course).unwrap().html();
        assert_eq!(html.matches("data:image/png;base64,").count(), set.len());
        assert!(
            html.contains("Nothing is promised about privacy")
                && html.contains("gone on with at iteration 5")
        );
        let line = html.split("<polyline").nth(1).unwrap().split('>').next().unwrap();
        assert!((100..=201).contains(&line.matches(',').count()), "{line}");
        set.record.start = Start::Real;
        assert!(page(&set, &[]).unwrap().html().contains("do not give it away"));
    }
}
