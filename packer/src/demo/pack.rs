//! The bundle of all modules. It is signed with a key that is never written, verified, tampered
//! with, and used by the runtime.

use std::time::{Duration, Instant};

use medforge_runtime::bundle::{Trust, verify};
use medforge_runtime::classify::{Classification, Classifier};
use medforge_runtime::image;
use rayon::prelude::*;

use super::study::Study;
use crate::base::Vit;
use crate::eval::Results;
use crate::export::{Options, build_bundle, keys};
use crate::{Error, input, interrupt};

/// The largest allowed difference between the runtime's probabilities and packer's.
pub const TOLERANCE: f64 = 1e-4;

/// A signed bundle, verified and ready to classify.
pub struct Packed {
    pub bytes: Vec<u8>,
    /// The key to trust, in PEM.
    pub public: String,
    pub id: String,
    /// The byte that was changed in a copy, and the verification's refusal.
    pub tampering: (usize, String),
    /// The time to verify and to load it.
    pub load_time: Duration,
    classifier: Classifier,
}

/// The runtime's results for a hospital's held-out images.
pub struct Classified {
    /// Index of each item in the hospital's data set.
    pub indices: Vec<usize>,
    pub results: Vec<Classification>,
    /// The largest difference of a probability from packer's evaluation.
    pub difference: f64,
    /// The time for all images, on all processors.
    pub time: Duration,
}

impl Packed {
    /// Packs the modules of `studies`. The secret key exists only in memory, and only until the
    /// bundle is signed.
    pub fn new(vit: &Vit, studies: &[Study]) -> Result<Self, Error> {
        let key = keys::generate()?;
        let public = keys::to_pem(&key).public;
        let options = Options {
            name: "demo".into(),
            counter: 1,
            predecessor: None,
            intended_use: "Demonstration on synthetic images. Not for diagnosis or treatment."
                .into(),
            least_probability: 0.0,
        };
        let modules: Vec<_> = studies.iter().map(|study| study.module.clone()).collect();
        let bytes = build_bundle(vit, &modules, &options, &[key])?;
        let trust = Trust::from_pem(&public)?;

        let byte = bytes.len() / 2;
        let mut changed = bytes.clone();
        changed[byte] ^= 1;
        let Err(refusal) = verify(changed, &trust) else {
            return Err(Error::ChangedBundleAccepted { byte });
        };

        let start = Instant::now();
        let verified = verify(bytes.clone(), &trust)?;
        let id = verified.id().to_owned();
        let classifier = Classifier::load(verified)?;
        let load_time = start.elapsed();
        Ok(Packed {
            bytes,
            public,
            id,
            tampering: (byte, refusal.to_string()),
            load_time,
            classifier,
        })
    }

    /// Classifies the images of `expected` from their files, as a device would. The probabilities
    /// must be the same.
    pub fn classify(&self, study: &Study, expected: &Results) -> Result<Classified, Error> {
        let task = &study.module.card.task;
        let path = |index: usize| study.data.root.join(&study.data.items[index].path);
        let start = Instant::now();
        let one = |&index: &usize| {
            interrupt::check()?;
            let path = path(index);
            let bytes = input::read(&path, input::MAX_IMAGE)?;
            let picture = image::decode(&bytes, &path.display().to_string())?;
            Ok(self.classifier.classify(picture.view(), Some(task))?)
        };
        let results = expected.indices.par_iter().map(one).collect::<Result<Vec<_>, Error>>()?;
        let time = start.elapsed();
        let mut largest = 0.0;
        let rows = expected.probabilities.chunks_exact(study.data.classes.len());
        for ((found, expected), &index) in results.iter().zip(rows).zip(&expected.indices) {
            let pairs = found.probabilities.iter().zip(expected);
            let difference = pairs.map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
            if difference > TOLERANCE {
                let (image, task) = (path(index).display().to_string(), task.clone());
                return Err(Error::Disagreement { image, task, difference, limit: TOLERANCE });
            }
            largest = f64::max(largest, difference);
        }
        Ok(Classified { indices: expected.indices.clone(), results, difference: largest, time })
    }
}
