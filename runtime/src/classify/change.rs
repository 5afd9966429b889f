//! Bundles come and go, and defaults change, while other threads classify.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Classifier;
use super::load;
use super::selection::Selection;
use crate::Error;
use crate::bundle::VerifiedBundle;

impl Classifier {
    /// Goes on with `bundle` alone. A base that is the same stays as it is in memory.
    ///
    /// # Errors
    /// As [`load`](Self::load); nothing is changed then.
    pub fn replace(&self, bundle: VerifiedBundle) -> Result<(), Error> {
        self.check_process()?;
        self.active.change(|current| load::active(&bundle, &self.options, Some(current), 0))
    }

    /// Adds the modules and tasks of `bundle`, which must have the same base, size of images and
    /// preprocessing.
    ///
    /// # Errors
    /// As [`load`](Self::load), and [`Error::Unchanged`] where bases differ or a task has that name
    /// already; nothing is changed then.
    pub fn add(&self, bundle: VerifiedBundle) -> Result<(), Error> {
        self.check_process()?;
        self.active.change(|current| {
            let unchanged = |what: String| Err(Error::Unchanged { what });
            let manifest = bundle.manifest();
            if manifest.base.digest != current.digest {
                return unchanged(format!(
                    "the bundle is for base {}, in use is {}; open it by itself",
                    manifest.base.digest, current.digest
                ));
            }
            if manifest.preprocessing != current.preprocessing {
                return unchanged(
                    "the bundle prepares images in another way; open it by itself".into(),
                );
            }
            if let Some(head) =
                manifest.heads.iter().find(|head| current.tasks.contains_key(&head.task))
            {
                return unchanged(format!(
                    "there is a task {} already; unload its bundle first",
                    head.task
                ));
            }
            let beside = current.bundles.values().map(|contents| contents.bytes).sum();
            let added = load::active(&bundle, &self.options, Some(current), beside)?;
            if !Arc::ptr_eq(&added.base, &current.base) {
                return unchanged(
                    "the bundle has another graph for the same weights; open it by itself".into(),
                );
            }
            let mut next = current.clone();
            next.modules.extend(added.modules);
            next.tasks.extend(added.tasks);
            next.bundles.extend(added.bundles);
            Ok(next)
        })
    }

    /// Lets go of a bundle, by its id: of its tasks, and of those modules that came with no other
    /// bundle.
    ///
    /// # Errors
    /// [`Error::Unchanged`] for an unknown id, for the last bundle, and for modules that another
    /// task's default needs.
    pub fn unload(&self, bundle: &str) -> Result<(), Error> {
        self.check_process()?;
        self.active.change(|current| {
            let unchanged = |what: String| Err(Error::Unchanged { what });
            let mut next = current.clone();
            if next.bundles.remove(bundle).is_none() {
                let known = current.bundles().collect::<Vec<_>>().join(", ");
                return unchanged(format!("there is no bundle {bundle}; there are {known}"));
            }
            if next.bundles.is_empty() {
                return unchanged(
                    "it is the only bundle; replace it, or close the classifier".into(),
                );
            }
            next.tasks.retain(|_, task| &*task.bundle != bundle);
            let kept: BTreeSet<&String> =
                next.bundles.values().flat_map(|contents| &contents.modules).collect();
            next.modules.retain(|id, _| kept.contains(id));
            for (name, task) in &next.tasks {
                if let Some(module) =
                    task.default.modules().find(|module| !next.modules.contains_key(&module.id))
                {
                    return unchanged(format!(
                        "the default of task {name} needs module {}; change it first",
                        module.id
                    ));
                }
            }
            Ok(next)
        })
    }

    /// What `task` runs with from now on where a call says nothing else.
    ///
    /// # Errors
    /// [`Error::UnknownTask`], [`Error::UnknownModule`], [`Error::Selection`]; nothing is changed
    /// then.
    pub fn set_default(&self, task: &str, selection: &Selection) -> Result<(), Error> {
        self.check_process()?;
        self.active.change(|current| {
            selection.check()?;
            let default = current.composed(current.task(Some(task))?, selection)?;
            let mut next = current.clone();
            next.tasks.entry(task.to_owned()).and_modify(|task| task.default = default);
            Ok(next)
        })
    }
}
