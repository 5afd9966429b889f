//! A comparison of methods: its question and its answer.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::data::Dataset;
use crate::eval::Estimate;

/// What is compared, and on which images.
pub struct Question<'a> {
    /// By task, the data set whose test split is used.
    pub data: &'a BTreeMap<String, Dataset>,
    /// Names from [`methods`](super::methods). Empty means all, with regmean only if every member
    /// gave Gram matrices.
    pub methods: &'a [String],
    /// Whether methods are also tried with refitted heads.
    pub refit: bool,
    /// For searches, methods that draw random numbers, and the bootstrap.
    pub seed: u64,
    /// Bootstrap resamples of whole groups.
    pub resamples: usize,
}

/// All methods on the members of one item.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The item's number and id.
    pub item: u64,
    pub id: String,
    /// How the item was made, in the words of `packer forge merge --method`.
    pub made_by: String,
    /// `CONTRIBUTOR/TASK`, in the order of the members.
    pub members: Vec<String>,
    pub base_digest: String,
    pub tests: Vec<Test>,
    pub rows: Vec<Row>,
    pub seed: u64,
    pub resamples: usize,
    /// The fraction of resamples inside an interval.
    pub level: f64,
}

/// Real images of one task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Test {
    pub task: String,
    pub images: usize,
    /// Patients.
    pub groups: usize,
    /// Why there are no intervals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_intervals: Option<String>,
}

/// One method with its result.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// [`THIS_ITEM`], [`OWN_MODULES`], or what follows `packer forge merge --method`.
    pub name: String,
    /// The settings as an item would record them; none for the members' own modules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<Value>,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// The result of a method.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Figures(Box<Figures>),
    /// The reason why it cannot be used with these members.
    Refused(String),
}

/// The figures of a model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// How many networks a device runs for one image if the task is given.
    pub networks: usize,
    pub condensed: OnCondensed,
    /// By task with real images.
    pub real: BTreeMap<String, Scores>,
    /// The mean over these tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<Scores>,
}

/// Means over tasks on the members' condensed sets, with the task given.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct OnCondensed {
    pub cross_entropy: f64,
    pub balanced_accuracy: f64,
}

/// Scores on real images.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scores {
    /// With the task given.
    pub balanced_accuracy: Estimate,
    /// With the task given; none if only one class has images.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auc: Option<Estimate>,
    /// Balanced accuracy with the task unknown: an image taken for another task counts as wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_unknown: Option<Estimate>,
    /// The same with routing, which also runs the base. None if the condensed sets allow no
    /// routing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_unknown_routing: Option<Estimate>,
}

/// The name of the row of the item itself.
pub const THIS_ITEM: &str = "this item";
/// The name of the reference row: each member's module on the images of its own task.
pub const OWN_MODULES: &str = "each its own module";

impl Row {
    /// The figures; none if the method was refused.
    pub fn figures(&self) -> Option<&Figures> {
        match &self.outcome {
            Outcome::Figures(figures) => Some(figures),
            Outcome::Refused(_) => None,
        }
    }
}
