//! A progress bar on stderr. It shows when the work takes over two seconds and there is a terminal.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How long nothing is shown.
const PATIENCE: Duration = Duration::from_secs(2);

/// Counts steps from any thread.
pub struct Progress {
    what: &'static str,
    total: usize,
    done: AtomicUsize,
    begun: Instant,
    bar: OnceLock<ProgressBar>,
}

impl Progress {
    /// A bar for `total` steps; `what` names them.
    pub fn new(what: &'static str, total: usize) -> Self {
        Progress {
            what,
            total,
            done: AtomicUsize::new(0),
            begun: Instant::now(),
            bar: OnceLock::new(),
        }
    }

    /// Counts one step.
    pub fn step(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if self.begun.elapsed() > PATIENCE {
            self.bar.get_or_init(|| bar(self.what, self.total)).set_position(done as u64);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.get() {
            bar.finish_and_clear();
        }
    }
}

fn bar(what: &'static str, total: usize) -> ProgressBar {
    let bar = ProgressBar::new(total as u64);
    let template = "{msg} {bar:30} {pos}/{len}, {per_sec}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.with_message(what)
}
