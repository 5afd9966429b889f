//! `results.jsonl`: one measurement a line, appended as it is made.

use std::cell::RefCell;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

type Failure = Box<dyn std::error::Error>;

/// What one learner, trained on one set, said of every test image.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measurement {
    /// How the set was made.
    pub set: String,
    pub learner: String,
    pub task: String,
    pub network: String,
    pub per_class: usize,
    pub seed: u64,
    pub balanced_accuracy: f64,
    pub auc: f64,
    /// One digit a test image: the class it was taken for.
    pub predicted: String,
}

pub struct Results {
    pub measured: RefCell<Vec<Measurement>>,
    file: RefCell<File>,
}

impl Results {
    pub fn open(dir: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(dir)?;
        let path = dir.join("results.jsonl");
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let text = fs::read_to_string(&path)?;
        let measured = text.lines().map(serde_json::from_str).collect::<Result<Vec<_>, _>>()?;
        Ok(Results { measured: RefCell::new(measured), file: RefCell::new(file) })
    }

    pub fn has(
        &self,
        [set, learner]: [&str; 2],
        task: &str,
        network: &str,
        per_class: usize,
        seed: u64,
    ) -> bool {
        self.measured.borrow().iter().any(|m| {
            (m.set.as_str(), m.learner.as_str(), m.task.as_str(), m.network.as_str())
                == (set, learner, task, network)
                && (m.per_class, m.seed) == (per_class, seed)
        })
    }

    pub fn add(&self, m: Measurement) -> Result<(), Failure> {
        println!(
            "{:12} {:6} {:7} {:6} {:3} a class, seed {}: {:.3} (AUC {:.3})",
            m.set, m.learner, m.task, m.network, m.per_class, m.seed, m.balanced_accuracy, m.auc
        );
        writeln!(self.file.borrow_mut(), "{}", serde_json::to_string(&m)?)?;
        self.measured.borrow_mut().push(m);
        Ok(())
    }
}
