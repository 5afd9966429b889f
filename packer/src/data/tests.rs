//! What opens, and one test for each refusal.

use std::fs;
use std::path::Path;

use super::*;
use crate::Error;

mod lists;
mod paths;
mod pixels;
mod rows;
mod trees;

/// A folder with empty files (nothing decodes them here) and a splits.csv.
pub(super) struct Place(tempfile::TempDir);

impl Place {
    pub(super) fn new(files: &[&str]) -> Self {
        let place = Place(tempfile::tempdir().unwrap());
        for file in files {
            let path = place.root().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, b"").unwrap();
        }
        place
    }

    pub(super) fn root(&self) -> &Path {
        self.0.path()
    }

    fn listing(self, rows: &str) -> Self {
        fs::write(self.root().join("splits.csv"), format!("path,label,group,split\n{rows}"))
            .unwrap();
        self
    }

    pub(super) fn refusal(&self) -> (Error, String) {
        let error = Dataset::open(self.root()).unwrap_err();
        let text = error.to_string();
        (error, text)
    }
}

const FOUR: [&str; 4] = ["a/1.png", "a/2.png", "b/1.png", "b/2.png"];
const GOOD: &str = "a/1.png,a,p1,train\na/2.png,a,p2,test\nb/1.png,b,p3,train\nb/2.png,b,p4,test\n";
