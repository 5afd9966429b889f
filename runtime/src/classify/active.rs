//! The active set: one base, the modules and tasks of one bundle or several, and what each task
//! runs by default. It never changes; swapping is going on with another one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::base::{Adapter, Base};
use super::composed::{Composed, Module};
use super::head::Head;
use super::parts::Prototypes;
use super::result::Participant;
use super::selection::Selection;
use crate::Error;
use crate::bundle::manifest::{Code, Mode};
use crate::preprocess::Preprocessing;

/// Everything that a call runs with. See [`Classifier::active`](super::Classifier::active).
#[derive(Clone)]
pub struct Active {
    pub(super) base: Arc<Base>,
    /// SHA-256 of `base.onnx` and of `base.safetensors`.
    pub(super) base_id: [String; 2],
    /// The digest of the base's weights, which manifests name it by.
    pub(super) digest: String,
    pub(super) preprocessing: Preprocessing,
    pub(super) frozen: Arc<Adapter>,
    pub(super) modules: BTreeMap<String, Arc<Module>>,
    /// By bundle id.
    pub(super) bundles: BTreeMap<Arc<str>, FromBundle>,
    pub(super) tasks: BTreeMap<String, Task>,
}

/// What came with a bundle.
#[derive(Clone)]
pub(super) struct FromBundle {
    /// The modules' ids.
    pub modules: BTreeSet<String>,
    /// As canonical JSON.
    pub manifest: Arc<str>,
    /// What it takes of memory beside the base, as counted.
    pub bytes: u128,
}

/// A task that can be asked for.
#[derive(Clone)]
pub(super) struct Task {
    pub head: Arc<Head>,
    pub default: Arc<Composed>,
    /// The bundle that it came with, and who signed that.
    pub bundle: Arc<str>,
    pub signers: Arc<[String]>,
    pub routing: Option<Arc<Prototypes>>,
}

impl Active {
    /// The tasks that can be asked for, sorted.
    pub fn tasks(&self) -> impl Iterator<Item = &str> {
        self.tasks.keys().map(String::as_str)
    }

    /// Class names of `task`; none if there is no such task.
    pub fn classes(&self, task: &str) -> Option<Arc<[String]>> {
        self.tasks.get(task).map(|task| task.head.classes.clone())
    }

    /// What each class of `task` is in a coding scheme: as many as classes, or none; none either if
    /// there is no such task.
    pub fn codes(&self, task: &str) -> Option<Arc<[Code]>> {
        self.tasks.get(task).map(|task| task.head.codes.clone())
    }

    /// What `task` runs with where a call says nothing else: how modules act together, their ids
    /// and weights.
    pub fn default_of(&self, task: &str) -> Option<(Mode, Vec<Participant>)> {
        let (mode, parts) = self.tasks.get(task)?.default.parts();
        Some((mode, parts.map(|(id, weight)| Participant { id: id.to_owned(), weight }).collect()))
    }

    /// The manifest of a bundle, as canonical JSON: everything that its maker says of it.
    pub fn manifest(&self, bundle: &str) -> Option<&str> {
        self.bundles.get(bundle).map(|contents| &*contents.manifest)
    }

    /// The ids of the modules, sorted.
    pub fn modules(&self) -> impl Iterator<Item = &str> {
        self.modules.keys().map(String::as_str)
    }

    /// The ids of the bundles, sorted.
    pub fn bundles(&self) -> impl Iterator<Item = &str> {
        self.bundles.keys().map(|id| &**id)
    }

    /// What `task` runs with under `selection`; its default is laid out already.
    pub(super) fn composed(
        &self,
        task: &Task,
        selection: &Selection,
    ) -> Result<Arc<Composed>, Error> {
        let new = |mode, parts| {
            Composed::new(&self.base, &self.digest, &task.head, mode, parts, &self.modules)
                .map(Arc::new)
        };
        match selection {
            Selection::Default => Ok(task.default.clone()),
            Selection::Frozen => new(Mode::Fusion, &[]),
            Selection::Composition(Mode::Routed, _) if task.routing.is_none() => {
                let what = format!(
                    "the bundle of task {} tells no tasks by their looks, so nothing can be routed",
                    task.head.task
                );
                Err(Error::Selection { what })
            }
            Selection::Composition(mode, parts) => new(*mode, parts),
        }
    }

    pub(super) fn task(&self, name: Option<&str>) -> Result<&Task, Error> {
        let known = || self.tasks().collect::<Vec<_>>().join(", ");
        match name {
            Some(name) => self
                .tasks
                .get(name)
                .ok_or_else(|| Error::UnknownTask { task: name.to_owned(), known: known() }),
            None if self.tasks.len() == 1 => Ok(self.tasks.values().next().expect("there is one")),
            None => Err(Error::TaskNeeded { known: known() }),
        }
    }

    /// The prototypes that tell every task, if all tasks came in one bundle with them.
    pub(super) fn routing(&self) -> Option<&Arc<Prototypes>> {
        let first = self.tasks.values().next()?.routing.as_ref()?;
        let same =
            |task: &Task| task.routing.as_ref().is_some_and(|routing| Arc::ptr_eq(routing, first));
        self.tasks.values().all(same).then_some(first)
    }
}
