//! The held-out pictures that are shown: for each hospital the first of each class, and the one
//! whose true class got the lowest probability.

use super::pack::Classified;
use super::study::Study;
use crate::report::{Gallery, Picture, Prediction};
use crate::{Error, input};

/// A hospital's pictures. The source of each is its path in the demonstration's folder.
pub fn choose(study: &Study, classified: &Classified) -> Result<Gallery, Error> {
    let label = |row: usize| study.data.items[classified.indices[row]].label;
    let rows = 0..classified.indices.len();
    let mut chosen: Vec<usize> = (0..study.data.classes.len())
        .filter_map(|class| rows.clone().find(|&row| label(row) == class))
        .collect();
    let truth = |row: &usize| classified.results[*row].probabilities[label(*row)];
    let hardest =
        rows.filter(|row| !chosen.contains(row)).min_by(|a, b| truth(a).total_cmp(&truth(b)));
    chosen.extend(hardest);
    let pictures = chosen
        .into_iter()
        .map(|row| picture(study, classified, row))
        .collect::<Result<_, Error>>()?;
    Ok(Gallery { caption: format!("Hospital {}", study.hospital.name), pictures })
}

fn picture(study: &Study, classified: &Classified, row: usize) -> Result<Picture, Error> {
    let item = &study.data.items[classified.indices[row]];
    let path = study.data.root.join(&item.path);
    let png = input::read(&path, input::MAX_IMAGE)?;
    let (_, class, probability) = classified.results[row].top();
    let (truth, number) =
        (study.data.classes[item.label].clone(), item.path.file_stem().unwrap_or_default());
    Ok(Picture {
        png,
        prediction: Some(Prediction {
            class: class.to_owned(),
            probability: f64::from(probability),
        }),
        source: format!("images/{}-{truth}-{}.png", study.hospital.name, number.to_string_lossy()),
        truth: Some(truth),
    })
}
