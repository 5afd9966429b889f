//! Changes what a task runs with while another thread classifies: `cargo run --release -p
//! medforge-runtime --example swap_while_serving -- TRUST IMAGE BUNDLE [BUNDLE ...]`. The first
//! bundle is loaded, the others are added; all must be for the same base.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use medforge_runtime::bundle::{self, Trust, VerifiedBundle};
use medforge_runtime::classify::{Cancel, Classifier, Mode, Selection, WeightedModule};
use medforge_runtime::image::{self, RgbView};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    print!("{}", run(&arguments)?);
    Ok(())
}

/// A line for each composition that answered, with how many images it classified.
pub fn run(arguments: &[String]) -> Result<String, Box<dyn Error>> {
    let [trust, picture, bundles @ ..] = arguments else {
        return Err("give TRUST IMAGE BUNDLE [BUNDLE ...]".into());
    };
    let trust = Trust::read(&std::fs::read(trust)?)?;
    let picture = image::decode(&std::fs::read(picture)?, picture)?;
    let mut verified = Vec::new();
    for path in bundles {
        verified.push(bundle::verify(std::fs::read(path)?, &trust)?);
    }
    let mut verified = verified.into_iter();
    let classifier = Classifier::load(verified.next().ok_or("give a bundle")?)?;
    let task = classifier.active().tasks().next().ok_or("the bundle has no task")?.to_owned();

    let done = AtomicBool::new(false);
    let answers = std::thread::scope(|scope| {
        let server = scope.spawn(|| serve(&classifier, &task, picture.view(), &done));
        let changed = change(&classifier, &task, verified);
        done.store(true, Ordering::Relaxed);
        let answers = server.join().map_err(|_| "the server ended early")??;
        changed?;
        Ok::<_, Box<dyn Error>>(answers)
    })?;
    let mut lines = String::new();
    for (composition, count) in answers {
        writeln!(lines, "{count} images by composition {composition}")?;
    }
    Ok(lines)
}

/// Classifies an image again and again until `done`, and once more after it.
fn serve(
    classifier: &Classifier,
    task: &str,
    image: RgbView,
    done: &AtomicBool,
) -> Result<BTreeMap<String, usize>, medforge_runtime::Error> {
    let mut answers = BTreeMap::new();
    loop {
        let last = done.load(Ordering::Relaxed);
        let deadline = Instant::now() + Duration::from_secs(60);
        let found = classifier.classify_with(
            image,
            Some(task),
            &Selection::Default,
            &Cancel::at(deadline),
        )?;
        *answers.entry(found.composition.to_string()).or_default() += 1;
        if last {
            return Ok(answers);
        }
    }
}

/// Adds bundles, then gives `task` each module in turn, and at last a mixture of them all.
fn change(
    classifier: &Classifier,
    task: &str,
    others: impl Iterator<Item = VerifiedBundle>,
) -> Result<(), medforge_runtime::Error> {
    for bundle in others {
        classifier.add(bundle)?; // the base is in memory once
    }
    let modules: Vec<String> = classifier.active().modules().map(String::from).collect();
    for id in &modules {
        classifier.set_default(task, &Selection::module(id))?; // takes microseconds
    }
    let weight = 1.0 / modules.len() as f64;
    let parts = modules.into_iter().map(|module| WeightedModule { module, weight }).collect();
    classifier.set_default(task, &Selection::Composition(Mode::Mixture, parts))
}
