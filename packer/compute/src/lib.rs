//! What MedForge's packer computes with: tensor operations on a processor or a GPU, automatic
//! differentiation over them, and random numbers that have addresses.
//!
//! Layers, each knowing only those before it: random and softmax, device, tape. Nothing here knows
//! a file, a bundle or a command line.
#![deny(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::print_stderr, clippy::print_stdout))]

pub mod device;
pub mod error;
pub mod random;
pub mod softmax;
pub mod tape;

pub use error::Error;
