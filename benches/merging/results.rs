//! `results.jsonl`: one measurement a line, appended as it is made.

use std::cell::RefCell;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

type Failure = Box<dyn std::error::Error>;

/// What one merged model said of every test image of one task.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measurement {
    pub method: String,
    /// The tasks in their order of arrival.
    pub order: String,
    /// Whose condensed sets the method saw: `so-far`, `all`, or `-`.
    pub condensed: String,
    /// `own` of the modules, or `refitted` on condensed sets.
    pub heads: String,
    pub task: String,
    /// Whether the model was told the task.
    pub given: bool,
    pub seed: u64,
    pub balanced_accuracy: f64,
    /// Where the task was given.
    pub auc: Option<f64>,
    /// One digit a test image: the class it was taken for, `-` for one of another task.
    pub predicted: String,
}

/// Seconds and counts of a search.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Search {
    pub method: String,
    pub order: String,
    pub condensed: String,
    pub seed: u64,
    pub seconds: f64,
    pub weights: serde_json::Value,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Line {
    Measurement(Measurement),
    Search(Search),
}

pub struct Results {
    pub measured: RefCell<Vec<Measurement>>,
    pub searches: RefCell<Vec<Search>>,
    file: RefCell<File>,
}

impl Results {
    pub fn open(dir: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(dir)?;
        let path = dir.join("results.jsonl");
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let (mut measured, mut searches) = (Vec::new(), Vec::new());
        for line in fs::read_to_string(&path)?.lines() {
            match serde_json::from_str(line)? {
                Line::Measurement(m) => measured.push(m),
                Line::Search(s) => searches.push(s),
            }
        }
        Ok(Results { measured: measured.into(), searches: searches.into(), file: file.into() })
    }

    /// Whether a model was judged already on every task of its order.
    pub fn has(&self, [method, order, condensed, heads]: [&str; 4], seed: u64) -> bool {
        self.measured.borrow().iter().any(|m| {
            (m.method.as_str(), m.order.as_str(), m.condensed.as_str(), m.heads.as_str(), m.seed)
                == (method, order, condensed, heads, seed)
        })
    }

    /// Adds what one model said, all of it or nothing.
    pub fn add(&self, all: Vec<Measurement>) -> Result<(), Failure> {
        let mut lines = String::new();
        for m in &all {
            let given = if m.given { "given  " } else { "unknown" };
            println!(
                "{:24} {:24} {:7} {:9} {:7} {given} seed {}: {:.3}",
                m.method, m.order, m.condensed, m.heads, m.task, m.seed, m.balanced_accuracy
            );
            lines += &(serde_json::to_string(m)? + "\n");
        }
        self.file.borrow_mut().write_all(lines.as_bytes())?;
        self.measured.borrow_mut().extend(all);
        Ok(())
    }

    pub fn add_search(&self, search: Search) -> Result<(), Failure> {
        println!(
            "{} {} {}: {:.1} s, weights {}",
            search.method, search.order, search.condensed, search.seconds, search.weights
        );
        self.file.borrow_mut().write_all((serde_json::to_string(&search)? + "\n").as_bytes())?;
        self.searches.borrow_mut().push(search);
        Ok(())
    }
}
