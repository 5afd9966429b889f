//! LoRA modules (Hu et al. 2021): the sites that they adapt, their factors, their head, and their
//! files.
//!
//! A module is a folder: `adapter_config.json` and `adapter_model.safetensors` as PEFT has them,
//! `head.safetensors` ([`Head`]), `module.json` ([`ModuleCard`]) and `run.json` ([`Run`]). Without
//! `head.safetensors` the head is the one that PEFT saved in the adapter, if it did.

mod card;
pub mod dora;
mod factors;
mod familiar;
mod folder;
mod head;
mod module;
pub mod peft;
mod run;
mod saved;
mod site;
mod stack;
mod target;
#[cfg(test)]
pub(crate) mod tests;

pub use card::{ModuleCard, RecordedMetric, is_task_name};
pub use factors::Factors;
pub use familiar::{Calibration, Familiar, Interval};
pub use head::{Head, TextHead};
pub use module::Module;
pub use run::Run;
pub use saved::Saved;
pub use site::site_shape;
pub use stack::{compact, stack};
pub use target::{Target, Targets};
