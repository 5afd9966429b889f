//! A contribution's `manifest.json`: the contributor, the task, the files and the evaluation.
//!
//! The canonical form, signatures and digests are the bundle's. Refused: contradictions, values out
//! of range, and unknown entries.

use medforge_runtime::bundle::description::{
    check_classes, check_count, check_digest, check_entries, check_numbers, check_task, check_text,
    check_time, check_version, contradiction, require,
};
use medforge_runtime::bundle::manifest::{Entry, Tool};
use medforge_runtime::bundle::measured::{Measured, check_bounds, check_interval};
use medforge_runtime::bundle::{Description, Role};
use medforge_runtime::{Class, Error as RuntimeError, Refusal};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::lora::{RecordedMetric, is_task_name};

/// The only value of [`Manifest::format`].
pub const FORMAT: &str = "medforge-contribution";
/// The payload of every contribution, sorted.
pub const REQUIRED: [&str; 7] = [
    "adapter_config.json",
    "adapter_model.safetensors",
    "card.md",
    "condensed.json",
    "condensed.safetensors",
    "head.safetensors",
    "module.json",
];
/// The Gram matrices for RegMean, if the contributor allows them.
pub const GRAMS: &str = "grams.safetensors";

/// The signed description of a contribution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: String,
    /// 1.
    pub version: u32,
    /// `CONTRIBUTOR/TASK`.
    pub name: String,
    /// Counts the contributions of this name. A forge refuses an older one after a newer one.
    pub counter: u64,
    pub contributor: String,
    pub task: String,
    /// In the order of the head's rows.
    pub classes: Vec<String>,
    /// The licence of the module and the condensed set.
    pub licence: String,
    /// UTC, to the second.
    pub created: String,
    pub base_digest: String,
    /// Side in pixels of the images that the module was trained on.
    pub image_size: u32,
    /// Results on the contributor's own test split. Empty if nothing was recorded.
    pub metrics: Vec<RecordedMetric>,
    /// The whole evaluation on that split: patients, floors, subgroups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
    /// The number of condensed training images. Left out if the number is protected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<u64>,
    /// The number of groups (patients) of those images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<u64>,
    /// The privacy accounting of a condensed set, as in `condensed.json`. It does not cover the
    /// module.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privacy: Option<Value>,
    /// Whether the set started from patients' images.
    pub real_start: bool,
    pub entries: Vec<Entry>,
    pub tool: Tool,
}

impl Manifest {
    /// The name of a contribution of this contributor and task.
    pub fn name_of(contributor: &str, task: &str) -> String {
        format!("{contributor}/{task}")
    }
}

impl Description for Manifest {
    const PAYLOAD_TYPE: &'static str = "application/vnd.medforge.contribution+json";
    const FORMAT: &'static str = FORMAT;
    const VERSION: u32 = 1;
    const ROLE: Role = Role::Contributor;

    fn check(&self) -> Result<(), RuntimeError> {
        check_version::<Self>(&self.format, self.version.into())?;
        check_text("contributor", &self.contributor)?;
        check_task(&self.task)?;
        require(is_task_name(&self.task), || {
            format!(
                "task {:?} is not 1 to 64 lower-case letters, digits, '.', '_' or '-', the first \
                 no '.'",
                self.task
            )
        })?;
        let name = Self::name_of(&self.contributor, &self.task);
        require(self.name == name, || format!("name is {:?}; it must be {name:?}", self.name))?;
        check_count("counter", self.counter)?;
        check_classes(&format!("task {}", self.task), &self.classes)?;
        check_text("licence", &self.licence)?;
        check_time("created", &self.created)?;
        check_digest("base_digest", &self.base_digest)?;
        for metric in &self.metrics {
            check_text("metric", &metric.name)?;
            check_interval(
                "the module",
                &metric.name,
                metric.value,
                Some((metric.low, metric.high)),
            )?;
            check_bounds("the module", &metric.name, [metric.value, metric.low, metric.high])?;
            check_count("the images of a metric", metric.n as u64)?;
        }
        self.measured.iter().try_for_each(|measured| measured.check("the module"))?;
        check_count("images", self.images.unwrap_or(0))?;
        check_count("groups", self.groups.unwrap_or(0))?;
        check_numbers("privacy", self.privacy.as_ref().unwrap_or(&Value::Null))?;
        check_text("tool.name", &self.tool.name)?;
        check_text("tool.version", &self.tool.version)?;
        check_entries(&self.entries)?;
        let mut names: Vec<_> =
            self.entries.iter().map(|e| e.name.as_str()).filter(|name| *name != GRAMS).collect();
        names.sort_unstable();
        match REQUIRED.iter().find(|required| !names.contains(required)) {
            Some(missing) => Err(Refusal::new(Class::MissingEntry, "a contribution needs it")
                .entry(*missing)
                .into()),
            None => match names.iter().find(|name| !REQUIRED.contains(name)) {
                Some(other) => {
                    Err(contradiction(format!("entry {other} is none that a contribution has")))
                }
                None => Ok(()),
            },
        }
    }

    fn entries(&self) -> &[Entry] {
        &self.entries
    }
}
