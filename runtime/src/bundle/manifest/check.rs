//! What a manifest may say: every reference resolves, every value is in range, nothing is there
//! without a use.

use std::collections::{BTreeMap, BTreeSet};

use super::content::{Manifest, REQUIRED};
use crate::Class;
use crate::bundle::description::{check_entries, check_version};
use crate::bundle::measured::{check_bounds, check_differences, check_interval};
use crate::bundle::rules::{
    check_count, check_digest as digest, check_time, contradiction, require, unlisted,
};
use crate::bundle::texts::{check_text as name, fault_of_prose};
use crate::error::{Error, Refusal};
use crate::preprocess::Size;

mod compositions;
mod heads;
mod modules;

pub use compositions::are_weights;

/// Longest intended use, in bytes; more belongs in the model card.
const MAX_TEXT: usize = 16 << 10;

/// Whether the bytes of an entry are text for people, where its name says so.
pub(super) fn entry(entry: &str, bytes: &[u8]) -> Result<(), Error> {
    if entry != "model_card.md" && !entry.starts_with("cards/") {
        return Ok(());
    }
    let refuse = |class, what: String| Err(Refusal::new(class, what).entry(entry).into());
    match std::str::from_utf8(bytes) {
        Err(error) => refuse(Class::NotUtf8, format!("byte {} is not UTF-8", error.valid_up_to())),
        Ok(text) => fault_of_prose(text)
            .map_or(Ok(()), |fault| refuse(Class::Contradiction, format!("it {fault}"))),
    }
}

impl Manifest {
    /// Whether the manifest agrees with itself. Entries are sorted and complete, digests well
    /// formed and numbers finite. Every module, head and composition is tied to an entry and a
    /// task, and the preprocessing is made for the base.
    ///
    /// # Errors
    /// [`Class::Contradiction`], [`Class::MissingEntry`], and the classes of names.
    pub fn check(&self) -> Result<(), Error> {
        check_version::<Manifest>(&self.format, self.version.into())?;
        name("name", &self.name)?;
        check_count("counter", self.counter)?;
        check_time("created", &self.created)?;
        if let Some(id) = &self.predecessor {
            digest("predecessor", id)?;
        }
        let prose = &self.intended_use;
        require(prose.len() <= MAX_TEXT, || {
            format!("intended_use has {} bytes, more than {MAX_TEXT}", prose.len())
        })?;
        if let Some(fault) = fault_of_prose(prose) {
            return Err(contradiction(format!("intended_use {fault}")));
        }
        name("tool.name", &self.tool.name)?;
        name("tool.version", &self.tool.version)?;
        self.check_base()?;
        let mut entries = self.check_entries()?;
        for required in REQUIRED {
            entries.remove(required).ok_or_else(|| unlisted(required))?;
        }
        let modules = self.check_modules(&mut entries)?;
        let tasks = self.check_heads(&modules, &mut entries)?;
        self.check_routing(&mut entries)?;
        self.check_members(&tasks, &mut entries)?;
        if let Some(name) = entries.keys().next() {
            return Err(contradiction(format!(
                "entry {name} belongs to no module, no head, no member and no routing"
            )));
        }
        self.check_compositions(&modules, &tasks)?;
        self.check_metrics(&tasks)?;
        self.check_int8(&tasks)
    }

    fn check_base(&self) -> Result<(), Error> {
        let base = &self.base;
        name("base.family", &base.family)?;
        digest("base.digest", &base.digest)?;
        if let Some(licence) = &base.licence {
            name("base.licence", licence)?;
        }
        require(base.feature_size > 0 && base.layers > 0 && base.heads != Some(0), || {
            "base.feature_size, layers and heads must be above zero".into()
        })?;
        self.preprocessing.check().map_err(|error| contradiction(error.to_string()))?;
        let Size { height, width } = self.preprocessing.output_size();
        require(base.image_size == [height, width], || {
            format!(
                "preprocessing makes {height} x {width} and base.image_size is {:?}",
                base.image_size
            )
        })
    }

    /// Name -> digest of every entry.
    fn check_entries(&self) -> Result<BTreeMap<&str, &str>, Error> {
        check_entries(&self.entries)?;
        Ok(self.entries.iter().map(|entry| (entry.name.as_str(), entry.sha256.as_str())).collect())
    }

    fn check_metrics(&self, tasks: &BTreeSet<&str>) -> Result<(), Error> {
        for (task, measured) in &self.measured {
            require(tasks.contains(task.as_str()), || {
                format!("measured names task {task:?}, which has no head")
            })?;
            measured.check(task)?;
        }
        for (task, metric) in &self.metrics {
            require(tasks.contains(task.as_str()), || {
                format!("metrics name task {task:?}, which has no head")
            })?;
            name("metric", &metric.name)?;
            check_count("the images of a metric", metric.n)?;
            require(metric.n > 0, || format!("the metric of {task} is of no image"))?;
            check_interval(task, &metric.name, metric.value, Some((metric.low, metric.high)))?;
            check_bounds(task, &metric.name, [metric.value, metric.low, metric.high])?;
        }
        Ok(())
    }

    fn check_int8(&self, tasks: &BTreeSet<&str>) -> Result<(), Error> {
        let measured: BTreeSet<&str> = self.int8.keys().map(String::as_str).collect();
        require(measured.is_empty() || measured == *tasks, || {
            "int8 is not about every task".into()
        })?;
        for (task, cost) in &self.int8 {
            name("int8 metric", &cost.name)?;
            check_count("the images of eight bits", cost.n)?;
            require(cost.n > 0, || format!("what eight bits cost {task} is of no image"))?;
            let of = format!("what eight bits cost {task}");
            check_interval(&of, &cost.name, cost.int8 - cost.f32, Some((cost.low, cost.high)))?;
            check_bounds(&of, &cost.name, [cost.f32, cost.int8])?;
            check_differences(&of, &cost.name, [cost.low, cost.high])?;
        }
        Ok(())
    }
}
