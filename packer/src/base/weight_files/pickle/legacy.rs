//! Checkpoints of PyTorch before 1.6: five pickles, then the storages. The pickles are a magic
//! number, a version, facts about the machine, the checkpoint itself and the storages' keys. Each
//! storage is its number of values and the values.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::WeightView;
use super::super::source::Source;
use super::heap::{Value, text};
use super::machine::{Made, run};
use super::state_dict::{self, Placed};
use super::{LONGEST, refuse};
use crate::Error;

const MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;
const VERSION: i128 = 1001;

/// The tensors of the checkpoint `source`.
pub fn read(source: &Arc<Source>) -> Result<BTreeMap<String, WeightView>, Error> {
    let head = source.head(LONGEST)?;
    let fault = |what: String| refuse(source, what);
    let next = |from: usize| run(&head, from).map_err(fault);
    let magic = next(0)?;
    if magic.root != Value::Int(MAGIC) {
        return Err(fault("is a pickle, but no checkpoint of PyTorch".into()));
    }
    let version = next(magic.end)?;
    if version.root != Value::Int(VERSION) {
        return Err(fault("is a checkpoint of another version than 1001; save it anew".into()));
    }
    let machine = next(version.end)?;
    if !little_endian(&head, &machine) {
        let what = "is of another byte order than little; save it anew on a usual machine";
        return Err(fault(what.into()));
    }
    let made = next(machine.end)?;
    let keys = next(made.end)?;
    let places = places(source, &head, &made, &keys)?;
    let place = |storage: &super::heap::Storage| {
        places.get(&storage.key).copied().ok_or_else(|| format!("has no storage {:?}", storage.key))
    };
    state_dict::tensors(source, &head, &made, place)
}

/// Whether the machine that wrote it keeps the lowest byte first.
fn little_endian(bytes: &[u8], machine: &Made) -> bool {
    let Value::Dict(place) = machine.root else { return false };
    machine.heap.dicts[place].iter().any(|(key, value)| {
        matches!(key, Value::Text(range) if bytes[range.clone()] == *b"little_endian")
            && *value == Value::Bool(true)
    })
}

/// Where each storage's values lie: one after the other, in the order of `keys`.
fn places(
    source: &Source,
    bytes: &[u8],
    made: &Made,
    keys: &Made,
) -> Result<BTreeMap<String, Placed>, Error> {
    let fault = |what: String| refuse(source, what);
    let Value::List(list) = keys.root else {
        return Err(fault(format!("has {} where the storages' keys belong", keys.root.kind())));
    };
    let (mut places, mut at) = (BTreeMap::new(), keys.end as u64);
    for key in &keys.heap.lists[list] {
        let Value::Text(range) = key else {
            return Err(fault(format!("has {} as a storage's key", key.kind())));
        };
        let key = text(bytes, range).map_err(fault)?;
        let Some(place) = made.heap.keys.get(&key) else {
            return Err(fault(format!("has a storage {key:?} that nothing is over")));
        };
        let storage = &made.heap.storages[*place];
        let written = source.read(at, 8)?;
        if *written != storage.length.to_le_bytes() {
            return Err(fault(format!("storage {key:?} has another length than its pickle says")));
        }
        let length = storage.length.checked_mul(storage.dtype.bitsize() as u64 / 8);
        let end = length.and_then(|length| at.checked_add(8)?.checked_add(length));
        let (Some(length), Some(end)) = (length, end.filter(|end| *end <= source.length)) else {
            return Err(fault(format!("storage {key:?} goes beyond the end of the file")));
        };
        if places.insert(key.clone(), Placed { at: at + 8, length }).is_some() {
            return Err(fault(format!("has the storage {key:?} twice")));
        }
        at = end;
    }
    if at != source.length {
        return Err(fault(format!("has {} bytes after its storages", source.length - at)));
    }
    Ok(places)
}
