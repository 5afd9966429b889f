//! `model.safetensors` of a Hugging Face folder, in and out.

use std::collections::BTreeMap;

use medforge_runtime::tensors::{self, Tensor};

use super::names::{Place, file_places};
use super::parameters::parameter_shapes;
use super::stored::StoredTensor;
use super::vit_config::VitConfig;
use super::weight_files::{WeightMap, WeightView};
use crate::Error;

/// Reads every parameter that `config` asks for; what else the file holds (heads, poolers, mask
/// tokens, decoders, a text tower) is left.
pub fn parse(
    weights: &WeightMap,
    config: &VitConfig,
) -> Result<BTreeMap<String, StoredTensor>, Error> {
    collect(weights, config, |name| file_places(config, name))
}

/// The same of a file in which a parameter is in one of `places`.
pub fn collect(
    weights: &WeightMap,
    config: &VitConfig,
    places: impl Fn(&str) -> Vec<Place>,
) -> Result<BTreeMap<String, StoredTensor>, Error> {
    let read = |(name, shape): (String, Vec<usize>)| {
        let places = places(&name);
        let found = places.iter().find(|place| weights.tensors.contains_key(&place.name));
        let Some(place) = found.or(places.first()) else {
            return Err(Error::TensorMissing { path: weights.path.clone(), tensor: name });
        };
        if found.is_none() && name.starts_with("pool.") {
            let what = format!(
                "holds no {}: the head that pools by attention is missing; \"pooling\": \"mean\" \
                 in config.json takes the mean of the patches",
                place.name
            );
            return Err(Error::Config { path: weights.path.clone(), what });
        }
        let tensor = part(weights, place, shape)?;
        Ok((name, tensor.into()))
    };
    parameter_shapes(config).into_iter().map(read).collect()
}

/// The tensor in `place`, in `shape`. Of one that has several parts, only its own rows are read.
fn part(weights: &WeightMap, place: &Place, shape: Vec<usize>) -> Result<Tensor, Error> {
    if place.of == 1 {
        return read(weights, &place.name, shape);
    }
    let rows = shape[0];
    let whole = [&[rows * place.of], &shape[1..]].concat();
    let view = view(weights, &place.name, |found| found == whole, &whole)?;
    Ok(Tensor { shape, ..view.rows(place.part * rows, rows).read()? })
}

/// The tensor `name` in `shape`: its own shape may have other sides of one in front.
pub fn read(weights: &WeightMap, name: &str, shape: Vec<usize>) -> Result<Tensor, Error> {
    let squeezed =
        |shape: &[usize]| shape.iter().copied().skip_while(|s| *s == 1).collect::<Vec<_>>();
    let view = view(weights, name, |found| squeezed(found) == squeezed(&shape), &shape)?;
    Ok(Tensor { shape, ..view.read()? })
}

/// The tensor `name`, whose shape `fits`; messages say that `shape` was expected.
fn view<'a>(
    weights: &'a WeightMap,
    name: &str,
    fits: impl Fn(&[usize]) -> bool,
    shape: &[usize],
) -> Result<&'a WeightView, Error> {
    let (path, tensor) = (weights.path.clone(), name.to_owned());
    match weights.tensors.get(name) {
        Some(view) if fits(&view.shape) => Ok(view),
        Some(view) => {
            let (found, expected) = (view.shape.clone(), shape.to_vec());
            Err(Error::TensorShape { path, tensor, found, expected })
        }
        None => Err(Error::TensorMissing { path, tensor }),
    }
}

/// The file with the names that transformers writes.
pub fn write(
    config: &VitConfig,
    tensors: &BTreeMap<String, StoredTensor>,
) -> Result<Vec<u8>, Error> {
    let weights = config.shape(config.image_size).weights().into_iter();
    let batched = |name: &str| config.family.form().batched || name == "pool.probe";
    let batched: BTreeMap<_, _> =
        weights.filter(|(name, dims)| batched(name) && matches!(dims[..], [1, _, _])).collect();
    // The parts of each tensor of the file, in their order there.
    let mut renamed: BTreeMap<String, Vec<(usize, Tensor)>> = BTreeMap::new();
    for (name, tensor) in tensors {
        let mut tensor = tensor.read();
        if let Some(dims) = batched.get(name) {
            tensor.shape.clone_from(dims);
        }
        let place = file_places(config, name).into_iter().next();
        let place = place.unwrap_or(Place { name: name.clone(), part: 0, of: 1 });
        renamed.entry(place.name).or_default().push((place.part, tensor));
    }
    let renamed: Vec<(String, Tensor)> =
        renamed.into_iter().map(|(name, parts)| (name, joined(parts))).collect();
    let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
    Ok(tensors::write(renamed.iter().map(|(n, t)| (n.as_str(), t)), &metadata)?)
}

/// Parts one under another, by their number.
fn joined(mut parts: Vec<(usize, Tensor)>) -> Tensor {
    parts.sort_by_key(|(part, _)| *part);
    let mut parts = parts.into_iter().map(|(_, tensor)| tensor);
    let first = parts.next().expect("a tensor of a file has a part");
    parts.fold(first, |mut whole, part| {
        whole.shape[0] += part.shape[0];
        whole.data.extend(part.data);
        if part.dtype != whole.dtype {
            whole.dtype = Tensor::f32(Vec::new(), Vec::new()).dtype;
        }
        whole
    })
}
