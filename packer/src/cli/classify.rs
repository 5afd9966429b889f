//! `packer classify`: a verified bundle and images in, class probabilities out.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use medforge_runtime::classify::{
    Abstain, Cancel, Classification, Classifier, Options, Precision, Selection,
};
use medforge_runtime::preprocess::Preprocessing;
use medforge_runtime::words::sentence;
use rayon::prelude::*;
use serde_json::{Value, json};

use super::trusted::TrustArgs;
use crate::data::{self, Picture};
use crate::eval::GREY;
use crate::output::{NewFile, Places};
use crate::saliency::overlay::overlay;
use crate::{Error, interrupt, output};

/// Classify images with a verified bundle
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  packer classify breast.medforge --trust k.pub slide1.png slide2.png \
                  --json\n  \
    packer classify breast.medforge --trust k.pub slide1.png --explain seen.png --with-images\n\n\
    --explain shows where the network looked (attention rollout), whatever the class; yellow most. \
    It is no segmentation, and no\n\
    evidence that the answer is right."
)]
pub struct Args {
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    #[command(flatten)]
    trusted: TrustArgs,
    /// PNG, JPEG, TIFF or DICOM files
    #[arg(value_name = "IMAGE", required = true)]
    images: Vec<PathBuf>,
    /// Which task, if the bundle has several
    #[arg(long)]
    task: Option<String>,
    /// Of one image: also write where in it the answer comes from
    #[arg(long, value_name = "FILE.png")]
    explain: Option<PathBuf>,
    /// With --explain: put the image itself, as the base sees it, under the map
    #[arg(long, requires = "explain")]
    with_images: bool,
    /// With --explain: replace its file
    #[arg(long, requires = "explain")]
    force: bool,
    /// In eight bits, if the bundle was measured so
    #[arg(long)]
    int8: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Images at the same time [default: one for each processor]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

pub fn run(args: Args, places: &Places) -> Result<(), Error> {
    if args.explain.is_some() && args.images.len() > 1 {
        let what = format!("is of one image, and {} were given", args.images.len());
        return Err(Error::Option { name: "--explain", what });
    }
    let map =
        args.explain.as_ref().map(|path| places.file("--explain", path, args.force)).transpose()?;
    let precision = if args.int8 { Precision::Int8 } else { Precision::F32 };
    let options = Options { precision, ..Options::default() };
    let (classifier, preprocessing) = args.trusted.open(&args.bundle, places, |bundle, _| {
        let preprocessing = bundle.manifest().preprocessing.clone();
        Ok((Classifier::load_with(&bundle, options)?, preprocessing))
    })?;
    let routed = args.task.is_none() && classifier.active().tasks().count() > 1;
    if let (Some(file), [path]) = (&map, &args.images[..]) {
        let result = explain(&classifier, &preprocessing, path, &args, file)?;
        return said(&args, &[result], routed);
    }
    let threads = args.threads.map_or(0, NonZeroUsize::get);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool =
        pool.map_err(|error| Error::Option { name: "--threads", what: error.to_string() })?;
    let bar = ProgressBar::new(args.images.len() as u64);
    let one = |path: &PathBuf| {
        interrupt::check()?;
        let result = classify(&classifier, path, args.task.as_deref())?;
        bar.inc(1);
        Ok(result)
    };
    let results =
        pool.install(|| args.images.par_iter().map(one).collect::<Result<Vec<_>, Error>>())?;
    bar.finish_and_clear();
    said(&args, &results, routed)
}

/// What was found in an image, and what was odd about its file.
type Answer = (Classification, Vec<String>);

fn said(args: &Args, answers: &[Answer], routed: bool) -> Result<(), Error> {
    if args.json {
        let all: Value = args
            .images
            .iter()
            .zip(answers)
            .map(|(path, answer)| json(path, answer))
            .collect::<Value>();
        return output::print(&format!("{all:#}\n"));
    }
    let (mut results, mut noted) = (Vec::new(), Vec::new());
    for (path, (result, notes)) in args.images.iter().zip(answers) {
        results.push(result);
        noted.extend(notes.iter().map(|note| format!("{}: {note}", path.display())));
    }
    output::print(&table(&args.images, &results, routed))?;
    noted.iter().for_each(|line| log::warn!("{}", sentence(line)));
    Ok(())
}

fn classify(classifier: &Classifier, path: &Path, task: Option<&str>) -> Result<Answer, Error> {
    let Picture { image, notes } = data::decode(path)?;
    Ok((classifier.classify(image.view(), task)?, notes))
}

/// Classifies the image at `path` and writes where the answer comes from to `file`.
fn explain(
    classifier: &Classifier,
    preprocessing: &Preprocessing,
    path: &Path,
    args: &Args,
    file: &NewFile,
) -> Result<Answer, Error> {
    let (Picture { image, notes }, task) = (data::decode(path)?, args.task.as_deref());
    let (result, map) =
        classifier.explain(image.view(), task, &Selection::Default, &Cancel::default())?;
    let seen = preprocessing.resized(&image.view())?;
    let grey = vec![GREY; seen.data().len()];
    let under = if args.with_images { seen.data() } else { &grey };
    file.write(&overlay(under, seen.width() as usize, &map.values, map.grid)?)?;
    Ok((result, notes))
}

fn json(path: &Path, (result, notes): &Answer) -> Value {
    let classes = result.classes.iter().zip(&result.probabilities);
    let ood = result.assessment.map(|a| json!({ "score": a.score, "threshold": a.threshold }));
    json!({
        "image": path.to_string_lossy(),
        "task": result.task,
        "class": result.top().1,
        "ood": ood,
        "abstain": result.abstains().map(Abstain::name),
        "notes": notes,
        "probabilities": classes.map(|(class, probability)| json!({ "class": class,
            "probability": probability })).collect::<Value>(),
        "bundle": &*result.bundle,
        "composition": &*result.composition,
        "milliseconds": {
            "preprocessing": result.times.preprocessing.as_secs_f64() * 1e3,
            "base": result.times.base.as_secs_f64() * 1e3,
        },
        "modules": result.modules.iter().map(|m| json!({ "id": m.id,
            "weight": m.weight })).collect::<Value>(),
    })
}

/// One row an image: its class, then the probability of every class. With `routed`, where each
/// image may be of another task, the task too, and each image's own classes by name.
fn table(images: &[PathBuf], results: &[&Classification], routed: bool) -> String {
    let Some(first) = results.first() else { return String::new() };
    let calibrated = results.iter().any(|result| result.assessment.is_some());
    let mut head = vec!["image", "class"];
    if routed {
        head.push("task")
    } else {
        head.extend(first.classes.iter().map(String::as_str))
    }
    head.extend(calibrated.then_some("ood score"));
    head.extend(routed.then_some("probabilities"));
    let mut rows = vec![head.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    for (path, result) in images.iter().zip(results) {
        let answer = result
            .abstains()
            .map_or(result.top().1.to_owned(), |why| format!("abstains: {}", why.name()));
        let mut row = vec![path.display().to_string(), answer];
        let own = result.classes.iter().zip(&result.probabilities);
        if routed {
            row.push(result.task.clone())
        } else {
            row.extend(own.clone().map(|(_, probability)| format!("{probability:.3}")))
        }
        row.extend(
            calibrated
                .then(|| result.assessment.map_or("-".to_owned(), |a| format!("{:.2}", a.score))),
        );
        let named = || {
            own.map(|(class, probability)| format!("{class} {probability:.3}")).collect::<Vec<_>>()
        };
        row.extend(routed.then(|| named().join(", ")));
        rows.push(row);
    }
    let width =
        |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..rows[0].len()).map(width).collect();
    let line = |row: &Vec<String>| {
        let cell = |(i, (cell, &w)): (usize, (&String, &usize))| {
            if i < 2 || routed { format!("{cell:<w$}") } else { format!("{cell:>w$}") }
        };
        let cells: Vec<String> = row.iter().zip(&widths).enumerate().map(cell).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(task: &str, classes: &[&str], probabilities: &[f32]) -> Classification {
        Classification {
            task: task.into(),
            classes: classes.iter().map(|&class| class.into()).collect(),
            codes: [].into(),
            probabilities: probabilities.to_vec(),
            assessment: None,
            bundle: "b".into(),
            signers: [].into(),
            composition: "c".into(),
            modules: [].into(),
            times: Default::default(),
        }
    }

    #[test]
    fn each_image_of_a_routed_bundle_has_the_classes_of_its_own_task_in_any_order() {
        let breast = ("1.png", found("breast", &["benign", "malignant"], &[0.25, 0.75]));
        let lung = ("2.png", found("lung", &["benign", "aca", "scc"], &[0.5, 0.125, 0.375]));
        let colon =
            ("3.png", found("colon", &["aca", "none", "polyp", "ulcer"], &[0.0, 1.0, 0.0, 0.0]));
        let rows = [
            "1.png  malignant  breast  benign 0.250, malignant 0.750",
            "2.png  benign     lung    benign 0.500, aca 0.125, scc 0.375",
            "3.png  none       colon   aca 0.000, none 1.000, polyp 0.000, ulcer 0.000",
        ];
        let all = [breast, lung, colon];
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let paths: Vec<PathBuf> = order.iter().map(|&i| all[i].0.into()).collect();
            let results: Vec<&Classification> = order.iter().map(|&i| &all[i].1).collect();
            let lines: Vec<String> =
                table(&paths, &results, true).lines().map(str::to_owned).collect();
            assert_eq!(lines[0], "image  class      task    probabilities");
            assert_eq!(lines[1..], order.map(|i| rows[i].to_owned()), "{order:?}");
        }
        let one = table(&["1.png".into()], &[&all[0].1], false);
        assert_eq!(
            one,
            "image  class      benign  malignant\n1.png  malignant   0.250      0.750\n"
        );
    }
}
