//! The part of the page about the bundle.

use super::super::outcome::Demo;
use super::super::pack::{Classified, TOLERANCE};
use super::facts::{fact, megabytes, seconds};
use crate::report::Block;

/// The bundle, and the runtime's results with it.
pub fn bundle(demo: &Demo, classified: &[Classified]) -> Vec<Block> {
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
