//! What a call runs with: the task's default, no module at all, or a composition of the caller's
//! own; and how a call is stopped.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::Error;
use crate::bundle::manifest::{MOST_PARTS, Mode, WeightedModule, are_weights};

/// Which modules take part in a classification.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Selection {
    /// The task's default.
    #[default]
    Default,
    /// No module: the frozen base and the task's head.
    Frozen,
    /// These modules, acting together in this way. Weights may be zero or negative.
    Composition(Mode, Vec<WeightedModule>),
}

impl Selection {
    /// One module alone, by its id.
    pub fn module(id: impl Into<String>) -> Self {
        Selection::Composition(
            Mode::Fusion,
            vec![WeightedModule { module: id.into(), weight: 1.0 }],
        )
    }

    /// What can be told without knowing the modules.
    pub(super) fn check(&self) -> Result<(), Error> {
        let Selection::Composition(_, parts) = self else { return Ok(()) };
        let mut seen = BTreeSet::new();
        let twice = parts.iter().find(|part| !seen.insert(&part.module));
        let wrong = match parts.iter().find(|part| !part.weight.is_finite()).or(twice) {
            Some(part) if part.weight.is_finite() => {
                format!("module {} takes part twice; add its weights", part.module)
            }
            Some(part) => {
                format!(
                    "the weight of module {} is {}, which is no number to weigh with",
                    part.module, part.weight
                )
            }
            None if parts.is_empty() => {
                "it has no modules; the frozen base is a selection of its own".to_owned()
            }
            None if parts.len() > MOST_PARTS => {
                format!("it has {} modules, more than {MOST_PARTS}", parts.len())
            }
            None if !are_weights(parts) => "its weights have no finite sum".to_owned(),
            None => return Ok(()),
        };
        Err(Error::Selection { what: wrong })
    }
}

/// When a call is given up: it looks before each block of the base.
#[derive(Debug, Clone, Default)]
pub struct Cancel {
    flag: Option<Arc<AtomicBool>>,
    deadline: Option<Instant>,
}

impl Cancel {
    /// When another thread sets `flag`.
    pub fn by(flag: Arc<AtomicBool>) -> Self {
        Cancel { flag: Some(flag), deadline: None }
    }

    /// At `deadline`.
    pub fn at(deadline: Instant) -> Self {
        Cancel { flag: None, deadline: Some(deadline) }
    }

    /// The same, and at `deadline` too.
    pub fn or_at(self, deadline: Instant) -> Self {
        Cancel { deadline: Some(deadline), ..self }
    }

    pub(super) fn asked(&self) -> bool {
        self.flag.as_ref().is_some_and(|flag| flag.load(Ordering::Relaxed))
            || self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

#[cfg(test)]
mod tests;
