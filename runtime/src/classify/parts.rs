//! The bundle's small parts as the classifier needs them: modules, heads, golden vectors, and
//! modules fused.
//!
//! Refused: tensors that are missing, misshapen or left over. All of them are named at once, and
//! none is ever ignored.

mod golden;
mod head;
mod module;
mod prototypes;
mod take;

pub(super) use golden::{Golden, golden};
pub(super) use head::{Logits, head};
pub(super) use module::{fused, module};
pub(super) use prototypes::{Prototypes, prototypes};

#[cfg(test)]
mod tests;
