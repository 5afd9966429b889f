//! A whole condensation: what it needs, and its run.

use crate::data::Condensed;
use crate::device::Device;
use crate::train::{Observer, Step};
use crate::{Error, interrupt};

use super::bank::Bank;
use super::checkpoint::Checkpoint;
use super::iterations::Iterations;
use super::privacy::Budget;
use super::record::{labels, record};
use super::settings::CondenseSettings;
use super::source::Source;

/// A condensation to be done.
pub struct Condensation<'a, D: Device> {
    pub device: &'a D,
    pub source: Source<'a>,
    /// The task's name, for the record.
    pub task: &'a str,
    pub settings: &'a CondenseSettings,
    /// A checkpoint of the same condensation to go on from.
    pub resume: Option<Checkpoint>,
}

impl<'a, D: Device + 'static> Condensation<'a, D> {
    /// A condensation from its beginning.
    pub fn new(
        device: &'a D,
        source: Source<'a>,
        task: &'a str,
        settings: &'a CondenseSettings,
    ) -> Self {
        Condensation { device, source, task, settings, resume: None }
    }

    /// Condenses, with `budget` privately.
    ///
    /// # Errors
    /// [`Error::Condense`], [`Error::TooFewGroups`]: what the module's head names.
    /// [`Error::Diverged`] if the loss stops being a number. A damaged checkpoint; an interruption.
    pub fn run(
        self,
        budget: Option<Budget>,
        observer: &mut dyn Observer,
    ) -> Result<Condensed, Error> {
        let Condensation { device, source, settings, .. } = self;
        settings.check()?;
        source.check(settings, budget)?;
        let released = self.resume.as_ref().and_then(|c| c.release.clone());
        let mut bank = match budget {
            None => Bank::measure(device, source, settings, observer)?,
            Some(_) => Bank::private(device, source, settings, released.clone(), observer)?,
        };
        let members: Vec<usize> = (0..bank.labels().len()).collect();
        if let (Some(budget), None) = (budget, released) {
            bank.release(&members, source.classes, budget)?;
        }
        self.run_from(&bank, &members, observer)
    }

    /// Condenses from a bank measured before, reading only the real images `members` of it. For
    /// benchmarks and audits, which condense many times.
    ///
    /// The bank's settings may differ in the number of images, the iterations and the seed.
    ///
    /// # Errors
    /// As [`Condensation::run`].
    pub fn run_from(
        self,
        bank: &Bank,
        members: &[usize],
        observer: &mut dyn Observer,
    ) -> Result<Condensed, Error> {
        let Condensation { device, source, task, settings, resume } = self;
        let plan = bank.plan(settings, members, source.classes)?;
        let iterations = Iterations::new(device, source, settings, bank, &plan, members);
        let mut state = match resume {
            Some(checkpoint) => checkpoint,
            None => {
                let coefficients = iterations.start();
                let state = Checkpoint::begin(bank.released().cloned(), settings, coefficients);
                // A release is kept before it is used: a run that stops must not make a second one.
                observer.checkpoint(&state)?;
                state
            }
        };
        iterations.check(&state)?;
        while state.iteration < settings.iterations {
            let stopped = interrupt::check();
            if stopped.is_err() || observer.wants_checkpoint() {
                observer.checkpoint(&state)?;
                stopped?;
            }
            let images = iterations.step(&mut state)?;
            observer.step(&Step {
                stage: "condensing",
                done: state.iteration,
                total: settings.iterations,
                images,
                loss: Some(state.recent()),
            });
        }
        let images = iterations.paint(&state);
        let record = record(source, task, settings, bank, members, [state.first, state.recent()])?;
        let labels = labels(source, settings, bank, members, &plan, iterations.labels());
        Ok(Condensed { record, images, labels }.rounded())
    }
}
