//! Checkpoints of PyTorch, `*.pth`, `*.pt` and `*.bin`: its archive (ZIP) and the form of before
//! 1.6, which begins with a magic number.
//!
//! They are pickles, which are programs: they call what they name. Here tensors are built and
//! nothing else. Opcodes ([`machine`]) and names ([`globals`]) are those that state dicts take, and
//! none of them runs anything. Plain data beside the weights, such as `argparse.Namespace`, becomes
//! a value that nobody reads. Every other opcode or name is refused by name.
//!
//! Refused too:
//!
//! - programs (TorchScript) and whole models, tar files of PyTorch before 0.2,
//! - archives that are compressed, encrypted or big-endian,
//! - sizes, strides and offsets that do not fit the storage, tensors that repeat values,
//! - sparse, quantised and conjugate tensors,
//! - more than [`LONGEST`] bytes of pickle or [`machine::MOST`] opcodes in it.
//!
//! As PyTorch's own reader may be told to, this one leaves the archive's checksums alone.
//!
//! Why no crate: serde-pickle knows no persistent ids, which are the storages; repugnant-pickle is
//! version 0.0.1 of 2023; candle-core is a tensor library with its own devices. PyTorch's files
//! need thirty of pickle's opcodes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::WeightView;
use super::source::Source;
use crate::Error;

mod archive;
mod cursor;
mod globals;
mod heap;
mod legacy;
mod machine;
mod opcodes;
mod stack;
mod state_dict;
mod torch;

/// The most bytes of pickle in a checkpoint.
pub const LONGEST: u64 = 64 << 20;

/// What refusals of code say.
const NO_CODE: &str = "packer builds tensors alone and runs no code of a file";

/// Whether a file that begins with `head` is a checkpoint of PyTorch.
pub fn wrote(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04") || head.starts_with(b"\x80")
}

/// The tensors of the checkpoint `source`, by the names that they have there.
pub fn tensors(source: &Arc<Source>) -> Result<BTreeMap<String, WeightView>, Error> {
    let read = if source.head(2)?.starts_with(b"PK") { archive::read } else { legacy::read };
    read(source)
}

/// A refusal of `source` as a whole.
fn refuse(source: &Source, what: String) -> Error {
    Error::Config { path: source.path.clone(), what }
}

#[cfg(test)]
mod tests;
