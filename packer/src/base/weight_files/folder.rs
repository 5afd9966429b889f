//! Which file of a folder holds the weights: the first of the names that Hugging Face's libraries
//! and open_clip write, or else the only file that can be one.

use std::path::{Path, PathBuf};

use crate::Error;

/// The names, the first being taken before the others.
const NAMES: [&str; 6] = [
    "model.safetensors",
    "model.safetensors.index.json",
    "open_clip_model.safetensors",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "open_clip_pytorch_model.bin",
];
const ENDINGS: [&str; 4] = [".safetensors", ".bin", ".pth", ".pt"];
/// What trainings and PEFT leave beside the weights begins so, and packer's own heads.
const BESIDE: [&str; 7] = [
    "adapter_model.",
    "head.",
    "optimizer.",
    "rng_state",
    "scaler.",
    "scheduler.",
    "training_args.",
];

/// The file of weights in `dir`, or the index of several.
///
/// # Errors
/// [`Error::Config`] if there is none, or more than one that has none of the names.
pub fn weights(dir: &Path) -> Result<PathBuf, Error> {
    // A link that leads nowhere is taken too: opening it says what is missing.
    let there = |name: &&str| dir.join(name).symlink_metadata().is_ok();
    if let Some(name) = NAMES.iter().find(|name| there(name)) {
        return Ok(dir.join(name));
    }
    let refuse = |what| Err(Error::Config { path: dir.to_owned(), what });
    let mut others = Vec::new();
    for entry in dir.read_dir().map_err(|e| Error::io(dir, e))? {
        let name = entry.map_err(|e| Error::io(dir, e))?.file_name();
        let name = name.to_string_lossy().into_owned();
        let beside = BESIDE.iter().any(|known| name.starts_with(known));
        if !beside && ENDINGS.iter().any(|ending| name.ends_with(ending)) {
            others.push(name);
        }
    }
    others.sort();
    match &others[..] {
        [one] => Ok(dir.join(one)),
        [] => refuse(format!(
            "holds no weights: packer reads {}, or one file that ends in {}",
            NAMES.join(", "),
            ENDINGS.join(", ")
        )),
        [first, second, ..] => refuse(format!(
            "holds {first} and {second}; keep the one that is meant, or name it {}",
            if second.ends_with(ENDINGS[0]) { NAMES[0] } else { NAMES[3] }
        )),
    }
}

/// Whether a file of weights is an index.
pub fn is_index(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "json")
}
