//! Says on standard error how long a row of equal tasks will take, once the first steps are done.

use std::time::{Duration, Instant};

use crate::output;
use crate::train::{Observer, Step};

/// Watches the first of `tasks` tasks.
pub struct Pace {
    what: &'static str,
    tasks: usize,
    /// When the first step was done, and its number.
    begun: Option<(Instant, usize)>,
    said: bool,
}

/// How long steps are watched before their pace is taken for that of all.
const WATCHED: Duration = Duration::from_secs(5);

impl Pace {
    /// For `tasks` tasks, which `what` names in the plural.
    pub fn new(what: &'static str, tasks: usize) -> Self {
        Pace { what, tasks, begun: None, said: false }
    }

    fn at(&mut self, now: Instant, done: usize, total: usize) {
        let (begun, first) = *self.begun.get_or_insert((now, done));
        let taken = now - begun;
        if self.said || done <= first || taken < WATCHED {
            return;
        }
        self.said = true;
        let all = taken.as_secs_f64() / (done - first) as f64 * total as f64 * self.tasks as f64;
        let (what, tasks) = (self.what, self.tasks);
        output::say(&format!(
            "{tasks} {what} will take about {}; --shadows 0 leaves them out",
            duration(all)
        ));
    }
}

impl Observer for Pace {
    fn step(&mut self, step: &Step) {
        self.at(Instant::now(), step.done, step.total);
    }
}

/// Seconds in words, to the minute or a tenth of an hour.
fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 90.0 => "a minute".into(),
        s if s < 90.0 * 60.0 => format!("{:.0} minutes", s / 60.0),
        s => format!("{:.1} hours", s / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_for_a_few_seconds_of_steps_and_speaks_once() {
        let (begun, mut pace) = (Instant::now(), Pace::new("shadow sets", 16));
        let after = |seconds| begun + Duration::from_secs(seconds);
        pace.at(after(0), 1, 600);
        pace.at(after(3), 2, 600);
        assert!(!pace.said);
        pace.at(after(6), 3, 600);
        assert!(pace.said && pace.begun == Some((begun, 1)));
    }

    #[test]
    fn durations_are_in_words() {
        assert_eq!(
            [30.0, 600.0, 16.0 * 600.0 * 3.0].map(duration),
            ["a minute", "10 minutes", "8.0 hours"]
        );
    }
}
