//! Weights in parts: an index (`model.safetensors.index.json`) names for each tensor the file that
//! it is in. Refused: files elsewhere than beside the index, and parts that hold other tensors than
//! it says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::super::file::File;
use super::WeightView;
use crate::{Error, input};

/// The most parts.
const MOST: usize = 1024;

type Tensors = BTreeMap<String, WeightView>;

/// The tensors of all files that the index at `path` names, each read by `part`.
pub fn read(path: &Path, part: impl Fn(&Path) -> Result<Tensors, Error>) -> Result<Tensors, Error> {
    let index = File::parse(path.to_owned(), &input::read(path, input::MAX_TEXT)?)?;
    let mut parts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    index.get("weight_map")?;
    for (tensor, file) in &index.part("weight_map")?.object {
        let Some(file) = file.as_str().filter(|file| is_plain(file)) else {
            return index.refuse(format!(
                "weight_map gives {file} for {tensor}, which is no file of weights beside it"
            ));
        };
        parts.entry(file.to_owned()).or_default().insert(tensor.clone());
    }
    if parts.is_empty() || parts.len() > MOST {
        return index.refuse(format!("names {} files, outside 1 to {MOST}", parts.len()));
    }
    let mut all = BTreeMap::new();
    for (file, expected) in parts {
        let tensors = part(&path.with_file_name(&file))?;
        if let Some(name) = expected.iter().find(|name| !tensors.contains_key(*name)) {
            return index.refuse(format!("says that {name} is in {file}, which does not hold it"));
        }
        if let Some(name) = tensors.keys().find(|name| !expected.contains(*name)) {
            return index.refuse(format!("does not say that {name} is in {file}, which holds it"));
        }
        all.extend(tensors);
    }
    Ok(all)
}

/// Whether it is the name of a file of weights, and no path.
fn is_plain(name: &str) -> bool {
    !name.starts_with('.')
        && !name.contains(['/', '\\', ':', '\0'])
        && [".safetensors", ".bin"].iter().any(|ending| name.ends_with(ending))
}
