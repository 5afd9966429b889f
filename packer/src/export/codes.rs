//! Codes of coding schemes for the classes of a bundle, from a table. With them, results can be
//! written into reports that other systems understand.
//!
//! Refused: rows for unknown tasks or classes, two rows for one class, one code for two classes of
//! a task, and a task of which only some classes have a code.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ed25519_dalek::SigningKey;
use medforge_runtime::bundle::manifest::{Code, Manifest};
use medforge_runtime::bundle::{Trust, assemble, verify};
use serde::Deserialize;

use crate::{Error, input};

/// One row of the table.
#[derive(Deserialize)]
struct Row {
    task: String,
    class: String,
    scheme: String,
    value: String,
    meaning: String,
}

/// The bundle `bytes` with the codes of the CSV file `table` (columns task, class, scheme, value,
/// meaning), signed anew by `keys`.
///
/// # Errors
/// [`Error::Bundle`], [`Error::Io`], [`Error::Runtime`].
pub fn coded(bytes: Vec<u8>, table: &Path, keys: &[SigningKey]) -> Result<Vec<u8>, Error> {
    let refuse = |what: String| Error::Bundle { what: format!("{}: {what}", table.display()) };
    let trust = Trust::new(keys.iter().map(SigningKey::verifying_key).collect(), keys.len())?;
    let bundle = verify(bytes, &trust)?;
    let mut codes = BTreeMap::new();
    let text = input::read(table, LONGEST)?;
    for (index, row) in csv::Reader::from_reader(&text[..]).deserialize().enumerate() {
        let Row { task, class, scheme, value, meaning } =
            row.map_err(|error| refuse(format!("row {}: {error}", index + 2)))?;
        let code = Code { scheme, value, meaning };
        if codes.insert((task.clone(), class.clone()), code).is_some() {
            return Err(refuse(format!(
                "row {}: class {class} of task {task} has a code already",
                index + 2
            )));
        }
    }
    let mut manifest: Manifest = bundle.manifest().clone();
    for head in &mut manifest.heads {
        let found = head
            .classes
            .iter()
            .filter_map(|class| codes.remove(&(head.task.clone(), class.clone())));
        let found: Vec<_> = found.collect();
        if !found.is_empty() && found.len() < head.classes.len() {
            return Err(refuse(format!(
                "some classes of task {} have no row; it has {}",
                head.task,
                head.classes.join(", ")
            )));
        }
        for (index, code) in found.iter().enumerate() {
            let same = |other: &Code| (&other.scheme, &other.value) == (&code.scheme, &code.value);
            if let Some(first) = found[..index].iter().position(same) {
                let (Code { scheme, value, .. }, task) = (code, &head.task);
                let [first, second] = [first, index].map(|place| &head.classes[place]);
                return Err(refuse(format!(
                    "classes {first} and {second} of task {task} have one code, {scheme} {value}; \
                     reports could not tell them apart"
                )));
            }
        }
        head.codes = found;
    }
    if let Some((task, class)) = codes.keys().next() {
        return Err(refuse(format!("the bundle has no class {class} of a task {task}")));
    }
    let names: BTreeSet<&String> = manifest.entries.iter().map(|entry| &entry.name).collect();
    let payload = names.into_iter().map(|name| Ok((name.clone(), bundle.entry(name)?.to_vec())));
    let payload = payload.collect::<Result<BTreeMap<_, _>, Error>>()?;
    Ok(assemble(&manifest, &payload, keys)?)
}

/// The longest table that is read, in bytes.
const LONGEST: u64 = 1 << 20;
