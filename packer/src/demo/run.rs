//! Runs the demonstration, stage by stage.

use std::time::{Duration, Instant};

use super::options::Options;
use super::outcome::{Demo, MARKER};
use super::pack::Packed;
use super::study::{self, Study};
use super::{gallery, report};
use crate::base::{Vit, embedded};
use crate::data::Split;
use crate::device::cpu::Cpu;
use crate::eval::{Bench, Results, bootstrap};
use crate::output::{NewFolder, OutputDir};
use crate::report::Gallery;
use crate::{Error, interrupt};

/// How many stages are announced.
pub const STAGES: usize = 5;

/// Runs the demonstration and writes the folder `out`: `report.html`, `demo.medforge`, `k.pub`,
/// `base/`, `m/TASK/` and `images/`. `stage` is called with the name of each stage when it begins.
///
/// # Errors
/// [`Error::Option`] for a refused seed, [`Error::Disagreement`], [`Error::ChangedBundleAccepted`],
/// and errors of the files.
pub fn run(out: NewFolder, options: &Options, stage: impl FnMut(&str)) -> Result<Demo, Error> {
    if options.seed == embedded::PHANTOM_SEED {
        let what = format!(
            "{} drew the images that the embedded base was trained on; choose another",
            options.seed
        );
        return Err(Error::Option { name: "the seed", what });
    }
    let dir = out.begin()?;
    let images = tempfile::tempdir().map_err(|e| Error::io(std::env::temp_dir(), e))?;
    let vit = embedded::open()?;
    let mut stages = Stages { announce: stage, done: Vec::new() };

    let data =
        stages.run("Draw the images of three hospitals", || study::draw(images.path(), options))?;
    let mut studies: Vec<Study> = stages.run("Train a module at each hospital", || {
        data.into_iter()
            .map(|(hospital, data)| Study::train(hospital, data, &vit, options))
            .collect()
    })?;
    let results: Vec<Vec<Results>> = stages
        .run("Evaluate each module on every hospital's held-out patients", || {
            evaluate(&vit, &studies, options.seed)
        })?;
    for (own, study) in studies.iter_mut().enumerate() {
        results[own][own].evaluation.record(&mut study.module.card);
    }
    let packed = stages
        .run("Sign one bundle, verify it, and change one byte", || Packed::new(&vit, &studies))?;
    let classified = stages.run("Classify the held-out images with the runtime", || {
        let own = studies.iter().zip(&results).enumerate();
        own.map(|(i, (study, results))| packed.classify(study, &results[i]))
            .collect::<Result<Vec<_>, Error>>()
    })?;

    let demo = Demo { studies, results, packed, stages: stages.done };
    let galleries = demo
        .studies
        .iter()
        .zip(&classified)
        .map(|(study, classified)| gallery::choose(study, classified));
    let galleries = galleries.collect::<Result<Vec<_>, Error>>()?;
    write(&dir, &demo, &galleries)?;
    let page = report::page(&demo, &vit, options, &classified, galleries);
    dir.write(MARKER, page.html().as_bytes())?;
    interrupt::check()?;
    dir.commit()?;
    Ok(demo)
}

/// Writes the base, the modules, the pictures, the bundle and the key.
fn write(dir: &OutputDir, demo: &Demo, galleries: &[Gallery]) -> Result<(), Error> {
    for (name, bytes) in embedded::FILES {
        dir.write(&format!("base/{name}"), bytes)?;
    }
    for study in &demo.studies {
        for (name, bytes) in study.module.files()? {
            dir.write(&format!("m/{}/{name}", study.module.card.task), &bytes)?;
        }
    }
    for picture in galleries.iter().flat_map(|gallery| &gallery.pictures) {
        dir.write(&picture.source, &picture.png)?;
    }
    dir.write("demo.medforge", &demo.packed.bytes)?;
    dir.write("k.pub", demo.packed.public.as_bytes())
}

/// Evaluates every module on every hospital's test split. A hospital's floors are fitted on its own
/// training images.
fn evaluate(vit: &Vit, studies: &[Study], seed: u64) -> Result<Vec<Vec<Results>>, Error> {
    let mut results: Vec<Vec<Results>> = studies.iter().map(|_| Vec::new()).collect();
    for host in studies {
        let bench = Bench::new(
            &Cpu::<f32>::new(),
            vit,
            &host.data,
            Split::Test,
            host.module.card.image_size,
        )?;
        for (guest, results) in studies.iter().zip(&mut results) {
            results.push(bench.evaluate(&guest.module, bootstrap::RESAMPLES, seed)?);
        }
    }
    Ok(results)
}

/// Announces stages and measures their times.
struct Stages<F> {
    announce: F,
    done: Vec<(&'static str, Duration)>,
}

impl<F: FnMut(&str)> Stages<F> {
    fn run<T>(
        &mut self,
        what: &'static str,
        work: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        interrupt::check()?;
        (self.announce)(what);
        let start = Instant::now();
        let result = work()?;
        self.done.push((what, start.elapsed()));
        Ok(result)
    }
}
