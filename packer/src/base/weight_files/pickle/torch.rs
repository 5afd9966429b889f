//! What PyTorch's names make: storages out of persistent ids, tensors over them. Every number is
//! checked here, so that a tensor that was made lies within its storage.

use super::globals::Global;
use super::heap::{Heap, Storage, Strided, Value, text};

/// Dimensions of a tensor.
const MOST_SIDES: usize = 16;
/// Arguments of a call that are looked at; PyTorch's have seven.
const MOST_ARGUMENTS: usize = 8;

/// What calling `global` with the tuple `arguments` makes.
///
/// # Errors
/// What is wrong, to be said of the pickle.
pub fn called(heap: &mut Heap, global: Global, arguments: &Value) -> Result<Value, String> {
    let arguments = heap.values(arguments)?;
    if global == Global::Inert {
        return Ok(Value::Inert);
    }
    // A tuple may be named again and again: what is copied of it has an end.
    let arguments = arguments[..arguments.len().min(MOST_ARGUMENTS)].to_vec();
    match (global, arguments.as_slice()) {
        (Global::Tensor, [storage, first, shape, strides, rest @ ..]) => {
            plain(heap, rest.get(2))?;
            let tensor = strided(heap, storage, [first, shape, strides])?;
            heap.tensors.push(tensor);
            Ok(Value::Tensor(heap.tensors.len() - 1))
        }
        (Global::Parameter, [tensor @ Value::Tensor(_), ..]) => Ok(tensor.clone()),
        (Global::Dict, [Value::List(pairs)]) => {
            // Taken, not copied, for the same reason.
            let pairs = std::mem::take(&mut heap.lists[*pairs]);
            let pairs: Option<Vec<_>> = pairs.iter().map(|pair| pair_of(heap, pair)).collect();
            heap.dicts.push(pairs.ok_or("makes a dictionary of what are no pairs")?);
            Ok(Value::Dict(heap.dicts.len() - 1))
        }
        (Global::Dict, [] | [Value::Global(Global::Inert | Global::Dict)]) => Ok(heap.dict()),
        _ => Err(format!("calls {global:?} with other arguments than PyTorch does")),
    }
}

/// The storage that the persistent id `id` of the pickle `bytes` means.
///
/// # Errors
/// What is wrong, to be said of the pickle.
pub fn stored(heap: &mut Heap, bytes: &[u8], id: &Value) -> Result<Value, String> {
    let (kind, dtype, key, length) = match heap.values(id)? {
        [Value::Text(kind), Value::Global(Global::Storage(dtype)), Value::Text(key), _, length]
        | [
            Value::Text(kind),
            Value::Global(Global::Storage(dtype)),
            Value::Text(key),
            _,
            length,
            Value::None,
        ] => (kind, *dtype, key, length),
        [_, _, _, _, _, _] => {
            return Err("has a storage that is part of another; save the file anew".into());
        }
        _ => return Err("has a persistent id that is no storage".into()),
    };
    if &bytes[kind.clone()] != b"storage" {
        return Err("has a persistent id that is no storage".into());
    }
    let storage = Storage { key: text(bytes, key)?, dtype, length: whole(length)? };
    if let Some(&place) = heap.keys.get(&storage.key) {
        if heap.storages[place] != storage {
            return Err(format!("has the storage {:?} twice, as two that differ", storage.key));
        }
        return Ok(Value::Storage(place));
    }
    heap.keys.insert(storage.key.clone(), heap.storages.len());
    heap.storages.push(storage);
    Ok(Value::Storage(heap.storages.len() - 1))
}

fn strided(
    heap: &Heap,
    storage: &Value,
    [first, shape, strides]: [&Value; 3],
) -> Result<Strided, String> {
    let Value::Storage(storage) = *storage else {
        return Err(format!("makes a tensor over {}", storage.kind()));
    };
    let Storage { key, dtype, length } = &heap.storages[storage];
    let all = |tuple: &Value| -> Result<Vec<u64>, String> {
        let sides = heap.values(tuple)?;
        if sides.len() > MOST_SIDES {
            return Err(format!("has a tensor of {} dimensions", sides.len()));
        }
        sides.iter().map(whole).collect()
    };
    let (first, sides, strides) = (whole(first)?, all(shape)?, all(strides)?);
    if sides.len() != strides.len() {
        let what = format!("{} dimensions and {} strides", sides.len(), strides.len());
        return Err(format!("has a tensor of {what}"));
    }
    let outside = || format!("has a tensor of shape {sides:?} beyond its storage {key:?}");
    let values = sides.iter().try_fold(1u64, |n, side| n.checked_mul(*side)).ok_or_else(outside)?;
    let last = sides.iter().zip(&strides).try_fold(0u64, |last, (side, stride)| {
        last.checked_add(side.saturating_sub(1).checked_mul(*stride)?)
    });
    let span = if values == 0 { Some(0) } else { last.and_then(|last| last.checked_add(1)) };
    let span = span.ok_or_else(outside)?;
    if first.checked_add(span).is_none_or(|end| end > *length) {
        return Err(outside());
    }
    if values > span {
        let what = "has values several times over; save it by contiguous()";
        return Err(format!("has a tensor of shape {sides:?} that {what}"));
    }
    let strides = sides.iter().zip(&strides).map(|(side, n)| if *side == 1 { 0 } else { *n });
    let small = |n: u64| usize::try_from(n).map_err(|_| outside());
    let strides = strides.map(small).collect::<Result<_, _>>()?;
    let shape = sides.iter().copied().map(small).collect::<Result<_, _>>()?;
    Ok(Strided { storage, dtype: *dtype, shape, strides, first, span })
}

/// Refuses a tensor whose values are not those of its storage: conjugate or negative ones.
fn plain(heap: &Heap, metadata: Option<&Value>) -> Result<(), String> {
    match metadata {
        None | Some(Value::None) => Ok(()),
        Some(Value::Dict(place)) if heap.dicts[*place].is_empty() => Ok(()),
        Some(_) => Err("has a tensor that is stored conjugate or negative; save it by \
                        resolve_neg()"
            .into()),
    }
}

fn pair_of(heap: &Heap, pair: &Value) -> Option<(Value, Value)> {
    let (Value::Tuple(place) | Value::List(place)) = pair else { return None };
    match heap.lists[*place].as_slice() {
        [key, value] => Some((key.clone(), value.clone())),
        _ => None,
    }
}

fn whole(value: &Value) -> Result<u64, String> {
    match value {
        Value::Int(n) => u64::try_from(*n).map_err(|_| format!("has a size of {n}")),
        other => Err(format!("has {} where a size belongs", other.kind())),
    }
}
