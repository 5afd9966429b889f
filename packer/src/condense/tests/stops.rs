//! What was stopped goes on as if there had been no stop.

use std::path::Path;

use safetensors::SafeTensors;

use crate::output::{NewFile, Places};

use super::*;

/// Keeps checkpoints, and stops at the one after iteration `at`.
struct Stopper {
    at: usize,
    done: usize,
    file: NewFile,
}

impl Observer for Stopper {
    fn step(&mut self, step: &Step) {
        self.done = if step.stage == "condensing" { step.done } else { 0 };
    }

    fn wants_checkpoint(&mut self) -> bool {
        self.done == self.at
    }

    fn checkpoint(&mut self, checkpoint: &dyn Resumable) -> Result<(), Error> {
        checkpoint.save(&self.file, "f")?;
        match checkpoint.step() {
            0 => Ok(()),
            _ => Err(Error::Interrupted { hint: String::new() }),
        }
    }
}

/// What the file says of itself, in the form of every version.
fn header(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    metadata.metadata().as_ref().unwrap()["medforge_condense_checkpoint"].clone()
}

#[test]
fn a_stopped_condensation_goes_on_as_if_there_had_been_no_stop() {
    let (_dir, dataset) = data();
    let vit = small(Family::Vit);
    let images = images(&dataset, &vit);
    let source = Source { vit: &vit, classes: &dataset.classes, images: &images, module: None };
    let device = Cpu::<f32>::poisoned();
    for (settings, budget) in [(settings(), None), (private(), Some(budget()))] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c");
        let file = Places::default().updated("--out", &path).unwrap();
        let begin = || Condensation::new(&device, source, "t", &settings);
        let stopped = begin().run(budget, &mut Stopper { at: 17, done: 0, file });
        assert!(matches!(stopped, Err(Error::Interrupted { .. })));
        assert!(header(&path).starts_with(&format!(
            "{{\"settings\":{},\"iteration\":17,\"first\":",
            serde_json::to_string(&settings).unwrap()
        )));
        let open = || Checkpoint::open(&path, &settings, "f").unwrap();
        let from =
            |kept| Condensation { resume: Some(kept), ..begin() }.run(budget, &mut Unobserved);
        let (one, two) = (from(open()).unwrap(), from(open()).unwrap());
        assert_eq!((&one.images, &one.record), (&two.images, &two.record));
        if budget.is_none() {
            let whole = begin().run(budget, &mut Unobserved).unwrap();
            assert_eq!((&one.images, &one.record), (&whole.images, &whole.record));
        }
        let mut short = open();
        short.coefficients.truncate(100);
        assert!(from(short).unwrap_err().to_string().contains("damaged"));
        if budget.is_some() {
            let mut narrow = open();
            narrow.release.as_mut().unwrap().means[1].pop();
            assert!(from(narrow).unwrap_err().to_string().contains("damaged"));
        }
        let other = CondenseSettings { iterations: 41, ..settings.clone() };
        assert!(
            Checkpoint::open(&path, &other, "f").err().unwrap().to_string().contains("settings")
        );
        assert!(
            Checkpoint::open(&path, &settings, "g").err().unwrap().to_string().contains("data")
        );
    }
}
