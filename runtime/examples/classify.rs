//! Classifies an image with a bundle: `cargo run --release -p medforge-runtime --example classify
//! -- BUNDLE TRUST IMAGE [TASK]`. TRUST is a public key in PEM, or a trust file.

use std::error::Error;
use std::fmt::Write;

use medforge_runtime::bundle::{self, Trust};
use medforge_runtime::classify::Classifier;
use medforge_runtime::image;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    print!("{}", run(&arguments)?);
    Ok(())
}

/// A line for each class, or one that says why there should be no answer.
pub fn run(arguments: &[String]) -> Result<String, Box<dyn Error>> {
    let [bundle, trust, picture, task @ ..] = arguments else {
        return Err("give BUNDLE TRUST IMAGE [TASK]".into());
    };
    let trust = Trust::read(&std::fs::read(trust)?)?;
    let verified = bundle::verify(std::fs::read(bundle)?, &trust)?;
    let classifier = Classifier::load(verified)?;
    let picture = image::decode(&std::fs::read(picture)?, picture)?;
    let found = classifier.classify(picture.view(), task.first().map(String::as_str))?;
    let mut lines = String::new();
    match found.abstains() {
        Some(why) => writeln!(lines, "no answer: {}", why.name())?,
        None => {
            for (class, probability) in found.classes.iter().zip(&found.probabilities) {
                writeln!(lines, "{class} {probability:.6}")?;
            }
        }
    }
    Ok(lines)
}
