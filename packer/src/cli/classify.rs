//! `packer classify`: a verified bundle and images in, class probabilities out.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;
use medforge_runtime::classify::{Cancel, Classifier, Options, Precision, Selection};
use medforge_runtime::preprocess::Preprocessing;
use medforge_runtime::words::sentence;
use rayon::prelude::*;
use serde_json::Value;

use super::trusted::TrustArgs;
use crate::data::{self, Picture};
use crate::eval::GREY;
use crate::output::{NewFile, Places};
use crate::saliency::overlay::overlay;
use crate::{Error, interrupt, output};

mod words;

use words::{Answer, json, table};

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
