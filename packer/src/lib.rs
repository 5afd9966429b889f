//! MedForge's packer: trains LoRA modules on a frozen vision transformer, evaluates them and packs
//! them into signed bundles.
//!
//! Layers, each knowing only those before it: compute, lora, base, train and eval, condense, audit,
//! merge, export, report, demo, cli. The first is a crate of its own, whose modules are named here
//! too.
//!
//! The features `cli` (the program) and `gpu` are both on by default.
#![deny(unsafe_code)]
// These end the program where the disk is full; `output::print` and `output::say` do not.
#![cfg_attr(not(test), deny(clippy::print_stderr, clippy::print_stdout))]

pub mod audit;
pub mod base;
pub mod calibration;
#[cfg(feature = "cli")]
pub mod cli;
pub mod condense;
pub mod contribution;
pub mod data;
pub mod demo;
pub mod error;
pub mod eval;
pub mod export;
pub mod forge;
#[cfg(test)]
mod gpu_variants;
pub mod input;
pub mod interrupt;
pub mod logistic;
pub mod lora;
pub mod merge;
pub mod output;
#[cfg(test)]
mod parity;
mod png_file;
pub mod predict;
pub mod report;
pub mod saliency;
pub mod train;

pub use error::Error;
pub use medforge_compute::{device, random, softmax, tape};
