//! Which tensors of a checkpoint are the weights, and where they lie.
//!
//! They are those of the one dictionary under a key that trainings use for it, or else those at the
//! top. A teacher goes before its student, as in DINO's own evaluations. Several are refused: which
//! is meant nobody says.

use std::collections::BTreeMap;
use std::sync::Arc;

use medforge_runtime::tensors::Place;
use medforge_runtime::words::sentence;

use super::super::WeightView;
use super::super::source::Source;
use super::heap::{Heap, Storage, Strided, Value, text};
use super::machine::Made;
use super::refuse;
use crate::Error;

/// Keys under which trainings keep weights.
const WRAPPERS: [&str; 11] = [
    "ema",
    "model",
    "model_ema",
    "model_state",
    "model_state_dict",
    "module",
    "net",
    "state_dict",
    "state_dict_ema",
    "target_encoder",
    "teacher",
];
const STUDENT: &str = "student";

/// A storage's bytes within the file.
#[derive(Clone, Copy, Debug)]
pub struct Placed {
    pub at: u64,
    pub length: u64,
}

/// The weights that the pickle `bytes` of `source` made; `place` tells where a storage lies.
pub fn tensors(
    source: &Arc<Source>,
    bytes: &[u8],
    made: &Made,
    place: impl Fn(&Storage) -> Result<Placed, String>,
) -> Result<BTreeMap<String, WeightView>, Error> {
    let fault = |what: String| refuse(source, what);
    let heap = &made.heap;
    let mut tensors = BTreeMap::new();
    for (name, tensor) in weights(source, bytes, made).map_err(fault)? {
        let storage = &heap.storages[tensor.storage];
        let size = tensor.dtype.bitsize() as u64 / 8;
        let placed = place(storage).map_err(fault)?;
        if storage.length.checked_mul(size) != Some(placed.length) {
            let (key, has) = (&storage.key, placed.length);
            let what = format!("storage {key:?} has {has} bytes for {} values", storage.length);
            return Err(fault(what));
        }
        let at = placed.at + tensor.first * size;
        let range = at..at + tensor.span * size;
        let (shape, dtype) = (tensor.shape.clone(), tensor.dtype);
        let place = Place { shape, dtype, range };
        let view = WeightView::strided(&name, source, place, tensor.strides.clone());
        if tensors.insert(name.clone(), view).is_some() {
            return Err(fault(format!("has the tensor {name:?} twice")));
        }
    }
    Ok(tensors)
}

/// The tensors of the dictionary that holds the weights.
fn weights<'a>(
    source: &Source,
    bytes: &[u8],
    made: &'a Made,
) -> Result<Vec<(String, &'a Strided)>, String> {
    let Value::Dict(top) = made.root else {
        return Err(format!("holds {} and no dictionary of tensors", made.root.kind()));
    };
    let mut wrapped = BTreeMap::new();
    for (key, value) in &made.heap.dicts[top] {
        let (Value::Text(key), Value::Dict(place)) = (key, value) else { continue };
        let known = WRAPPERS.iter().chain([&STUDENT]);
        let Some(key) = known.into_iter().find(|known| known.as_bytes() == &bytes[key.clone()])
        else {
            continue;
        };
        let inside = named(&made.heap, bytes, *place)?;
        if !inside.is_empty() && wrapped.insert(*key, inside).is_some() {
            return Err(format!("has {key:?} twice"));
        }
    }
    if wrapped.len() == 2 && wrapped.contains_key("teacher") {
        wrapped.remove(STUDENT);
    }
    if wrapped.len() > 1 {
        let keys: Vec<&str> = wrapped.keys().copied().collect();
        let keys = keys.join(" and ");
        return Err(format!("holds weights under {keys}; save the one that you mean by itself"));
    }
    if let Some((key, inside)) = wrapped.pop_first() {
        let path = source.name();
        log::info!("{}", sentence(&format!("{path}: the weights are those under {key}")));
        return Ok(inside);
    }
    let inside = named(&made.heap, bytes, top)?;
    if inside.is_empty() {
        let known = WRAPPERS.join(", ");
        return Err(format!("holds no tensors by name, nor under one of {known}"));
    }
    Ok(inside)
}

/// The tensors of a dictionary, by name.
fn named<'a>(
    heap: &'a Heap,
    bytes: &[u8],
    place: usize,
) -> Result<Vec<(String, &'a Strided)>, String> {
    let tensors = heap.dicts[place].iter().filter_map(|pair| match pair {
        (Value::Text(name), Value::Tensor(tensor)) => {
            Some(text(bytes, name).map(|name| (name, &heap.tensors[*tensor])))
        }
        _ => None,
    });
    tensors.collect()
}
