//! `merge.json`: what was merged and how.

use std::collections::BTreeSet;
use std::path::Path;

use medforge_runtime::bundle::measured::Measured;
use medforge_runtime::preprocess::Preprocessing;
use medforge_runtime::words::shown;
use serde::{Deserialize, Serialize};

use crate::base::Family;
use crate::lora::is_task_name;
use crate::merge::Options;
use crate::{Error, input};

/// The record's file, which marks a merged model's folder.
pub const RECORD: &str = "merge.json";

/// The largest record, in bytes: more than any needs.
const RECORD_BYTES: u64 = 64 << 20;

/// `merge.json`: what was merged and how.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Always `medforge-merge`.
    pub format: String,
    /// Always 1.
    pub version: u32,
    pub family: Family,
    /// Whether the base's MLP has a gate.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gated: bool,
    pub base_digest: String,
    /// Side in pixels of the images.
    pub image_size: u32,
    pub preprocessing: Preprocessing,
    /// RFC 3339, UTC, whole seconds. Only records older than `run.json` have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    pub options: Options,
    /// The fraction of the deltas' squared norm that the rank kept.
    pub kept: f64,
    /// SHA-256 in hex of `adapter_model.safetensors`.
    pub factors: String,
    /// One for each task.
    pub members: Vec<Member>,
}

/// A module that was merged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    pub task: String,
    pub contributor: String,
    pub licence: String,
    /// SHA-256 in hex of the module's own factors.
    pub factors: String,
    pub weight: f64,
    /// The classes of the task's head.
    pub classes: Vec<String>,
    /// The evaluation of the module alone. It does not hold for the merged model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alone: Option<Measured>,
    /// The evaluation of the merged model on the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
}

impl Record {
    pub const FORMAT: &str = "medforge-merge";
    pub const VERSION: u32 = 1;
}

/// Reads the record at `path` and checks it.
///
/// # Errors
/// [`Error::Config`] for a record that no merge writes.
pub(super) fn read_record(path: &Path) -> Result<Record, Error> {
    let bytes = input::read(path, RECORD_BYTES)?;
    let refuse = |what: String| Error::Config { path: path.to_owned(), what };
    let record: Record = serde_json::from_slice(&bytes)
        .map_err(|e| refuse(format!("is not the record of a merge: {}", shown(&e.to_string()))))?;
    if record.format != Record::FORMAT || record.version != Record::VERSION {
        let (format, version) = (&record.format, record.version);
        return Err(refuse(format!(
            "is {format} version {version}, and packer reads medforge-merge version 1"
        )));
    }
    record.options.check(record.members.len()).map_err(|e| refuse(e.to_string()))?;
    let mut tasks = BTreeSet::new();
    for member in &record.members {
        if !is_task_name(&member.task) {
            return Err(refuse(format!(
                "names the task {:?}, which is no task's name",
                member.task
            )));
        }
        if !tasks.insert(&member.task) {
            return Err(refuse(format!("names the task {} twice", member.task)));
        }
        if member.classes.len() < 2 {
            return Err(refuse(format!(
                "names fewer than two classes for the task {}",
                member.task
            )));
        }
        for measured in member.alone.iter().chain(&member.measured) {
            measured.check(&member.task).map_err(|e| refuse(e.to_string()))?;
        }
    }
    Ok(record)
}
