//! What a manifest may say of its compositions and their routing.

use std::collections::{BTreeMap, BTreeSet};

use crate::bundle::manifest::content::{Manifest, Module};
use crate::bundle::manifest::task::{Composition, MOST_PARTS, Mode, PROTOTYPES, WeightedModule};
use crate::bundle::rules::{contradiction, require, unlisted};
use crate::error::Error;

/// Whether the weights of a composition give a finite sum, whatever probabilities they are
/// multiplied with.
pub fn are_weights(parts: &[WeightedModule]) -> bool {
    parts.iter().map(|part| part.weight.abs()).sum::<f64>().is_finite()
}

impl Manifest {
    /// Every task has one composition, and every module is a part of one.
    pub(super) fn check_compositions(
        &self,
        modules: &BTreeMap<&str, &Module>,
        tasks: &BTreeSet<&str>,
    ) -> Result<(), Error> {
        let composed: BTreeSet<_> =
            self.compositions.iter().map(|composition| composition.task.as_str()).collect();
        require(composed == *tasks && composed.len() == self.compositions.len(), || {
            "every task needs exactly one composition".into()
        })?;
        for composition in &self.compositions {
            check_parts(composition, modules, tasks)?;
        }
        for composition in &self.compositions {
            require(are_weights(&composition.parts), || {
                format!("the weights of {} have no finite sum", composition.task)
            })?;
        }
        let parts = self.compositions.iter().flat_map(|composition| &composition.parts);
        let used: BTreeSet<&str> = parts.map(|part| part.module.as_str()).collect();
        match modules.keys().find(|id| !used.contains(*id)) {
            Some(id) => Err(contradiction(format!("module {id} takes part in no composition"))),
            None => Ok(()),
        }
    }

    pub(super) fn check_routing(&self, entries: &mut BTreeMap<&str, &str>) -> Result<(), Error> {
        let routed = self.compositions.iter().any(|composition| composition.mode == Mode::Routed);
        let Some(routing) = &self.routing else {
            return require(!routed, || "a composition is routed, and there is no routing".into());
        };
        require(routing.entry == PROTOTYPES, || {
            format!("the prototypes are in entry {:?}; they must be in {PROTOTYPES}", routing.entry)
        })?;
        entries.remove(PROTOTYPES).ok_or_else(|| unlisted(PROTOTYPES))?;
        Ok(())
    }
}

/// Parts are modules of the bundle, each once, with a finite weight.
fn check_parts(
    composition: &Composition,
    modules: &BTreeMap<&str, &Module>,
    tasks: &BTreeSet<&str>,
) -> Result<(), Error> {
    let task = &composition.task;
    require(!composition.parts.is_empty(), || format!("the composition of {task} has no parts"))?;
    require(composition.parts.len() <= MOST_PARTS, || {
        format!(
            "the composition of {task} has {} parts, more than {MOST_PARTS}",
            composition.parts.len()
        )
    })?;
    let mut seen = BTreeSet::new();
    for part in &composition.parts {
        require(seen.insert(&part.module), || {
            format!("module {} takes part in {task} twice", part.module)
        })?;
        require(part.weight.is_finite(), || {
            format!("module {} has weight {}", part.module, part.weight)
        })?;
        let Some(module) = modules.get(part.module.as_str()) else {
            let what = format!(
                "the composition of {task} names module {}, which is not there",
                part.module
            );
            return Err(contradiction(what));
        };
        require(composition.mode != Mode::Routed || tasks.contains(module.task.as_str()), || {
            format!(
                "the routed composition of {task} names a module for {:?}, which has \
                     no head",
                module.task
            )
        })?;
    }
    Ok(())
}
