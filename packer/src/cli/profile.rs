//! What one training step asked of the GPU, kernel by kernel.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::Error;
use crate::device::gpu::{Gpu, Record};

use super::device::Opened;

/// The counting of a training's second step: the first one compiles the kernels.
pub struct Profiling {
    gpu: Gpu,
    begun: Instant,
    table: Result<Option<String>, Error>,
}

impl Profiling {
    /// # Errors
    /// [`Error::Option`] on the processor, where nothing is counted.
    pub fn of(device: &Opened) -> Result<Self, Error> {
        match device {
            Opened::Gpu(gpu) => {
                Ok(Profiling { gpu: gpu.clone(), begun: Instant::now(), table: Ok(None) })
            }
            Opened::Cpu(_) => {
                let what = "counts what is asked of a GPU; pass --device gpu".into();
                Err(Error::Option { name: "--profile", what })
            }
        }
    }

    /// Counts from the end of the first of `steps` to the end of the second.
    pub fn after(&mut self, steps: usize) {
        match steps {
            1 => {
                self.gpu.engine().profile();
                self.begun = Instant::now();
            }
            2 => {
                let records = self.gpu.engine().take_profile();
                let seconds = self.begun.elapsed().as_secs_f64();
                self.table = records.map(|r| Some(table(&r, seconds))).map_err(Error::from);
            }
            _ => {}
        }
    }

    /// What was counted, as a table; nothing after fewer than two steps.
    pub fn table(self) -> Result<Option<String>, Error> {
        self.table
    }
}

/// A table of `records`, which took `seconds` of wall time in all.
fn table(records: &[Record], seconds: f64) -> String {
    let mut kernels: BTreeMap<&str, Sum> = BTreeMap::new();
    let mut total = Sum::default();
    for record in records {
        kernels.entry(record.kernel).or_default().add(record);
        total.add(record);
    }
    let mut rows: Vec<_> = kernels.into_iter().collect();
    rows.sort_by(|(_, a), (_, b)| {
        (b.time, b.operations).partial_cmp(&(a.time, a.operations)).expect("finite")
    });
    let mut text = format!(
        "One training step on the GPU, {seconds:.3} s of wall time with a pass and time stamps for \
         each dispatch\n\
         {:<24}{:>10}{:>10}{:>11}{:>11}{:>10}{:>9}{:>8}\n",
        "kernel", "dispatches", "GFLOP", "MB moved", "ms", "GFLOP/s", "GB/s", "share"
    );
    for (kernel, sum) in rows.iter().map(|(k, s)| (*k, s)).chain([("all", &total)]) {
        text += &sum.row(kernel, total.time);
    }
    if records.iter().all(|r| r.nanoseconds.is_none()) {
        text += "This adapter has no time stamps, so the times are not known.\n";
    }
    text
}

#[derive(Default)]
struct Sum {
    dispatches: usize,
    operations: f64,
    bytes: f64,
    /// Seconds, of those dispatches that were timed.
    time: f64,
}

impl Sum {
    fn add(&mut self, record: &Record) {
        self.dispatches += 1;
        self.operations += record.operations as f64;
        self.bytes += record.bytes as f64;
        self.time += record.nanoseconds.unwrap_or(0.0) / 1e9;
    }

    fn row(&self, kernel: &str, total: f64) -> String {
        let rate = |amount: f64| {
            if self.time > 0.0 { format!("{:.1}", amount / 1e9 / self.time) } else { "-".into() }
        };
        let share =
            if total > 0.0 { format!("{:.1} %", 100.0 * self.time / total) } else { "-".into() };
        format!(
            "{kernel:<24}{:>10}{:>10.3}{:>11.1}{:>11.2}{:>10}{:>9}{share:>8}\n",
            self.dispatches,
            self.operations / 1e9,
            self.bytes / 1e6,
            self.time * 1e3,
            rate(self.operations),
            rate(self.bytes),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_by_kernel() {
        let one = |kernel, nanoseconds| Record {
            kernel,
            operations: 2_000_000_000,
            bytes: 500_000_000,
            nanoseconds,
        };
        let text = table(
            &[one("matmul", Some(1e9)), one("fill", Some(0.5e9)), one("matmul", Some(1e9))],
            2.5,
        );
        let lines: Vec<Vec<&str>> =
            text.lines().skip(2).map(|l| l.split_whitespace().collect()).collect();
        assert_eq!(
            lines[0],
            ["matmul", "2", "4.000", "1000.0", "2000.00", "2.0", "0.5", "80.0", "%"]
        );
        assert_eq!(lines[1][..3], ["fill", "1", "2.000"]);
        assert_eq!(lines[2][..2], ["all", "3"]);
        let untimed = table(&[one("matmul", None)], 1.0);
        assert!(untimed.contains("no time stamps") && untimed.contains(" - "), "{untimed}");
    }
}
