//! Golden vectors: what a device must compute before it takes a bundle.

use std::collections::BTreeMap;

use medforge_runtime::image::RgbView;
use medforge_runtime::preprocess::Preprocessing;
use medforge_runtime::tensors::{Dtype, Tensor};

use crate::Error;
use crate::base::Vit;
use crate::device::cpu::Cpu;
use crate::merge::Sites;
use crate::merge::model::Model;
use crate::predict::Predictor;

/// The golden vectors: an image that is not of the input's size, what preprocessing makes of it,
/// and what packer's own forward pass makes of that for every task. `networks` gives the networks
/// of each task, by their place among the model's.
pub(super) fn golden(
    vit: &Vit,
    model: &Model,
    networks: &BTreeMap<String, Vec<usize>>,
    preprocessing: &Preprocessing,
) -> Result<BTreeMap<String, Tensor>, Error> {
    let side = preprocessing.output_size().height as usize;
    let (rows, columns) = (side * 3 / 4 + 3, side * 5 / 4 + 5);
    let levels = picture(rows, columns);
    let image = Tensor {
        shape: vec![rows, columns, 3],
        data: levels.iter().map(|&level| f32::from(level)).collect(),
        dtype: Dtype::F16,
    };
    let mut pixels = vec![0.0; 3 * side * side];
    preprocessing
        .apply(&RgbView::new(&levels, columns as u32, rows as u32, columns * 3)?, &mut pixels)?;
    let device = Cpu::<f32>::new();
    let feature = |sites: &Sites| Predictor::changed(&device, vit, sites, side).features(&pixels);
    let features = model.networks().iter().map(feature).collect::<Result<Vec<_>, _>>()?;
    let views: Vec<&[f32]> = features.iter().map(Vec::as_slice).collect();
    let mut tensors = BTreeMap::new();
    for task in model.heads.keys() {
        let answer = model.answer(&views, Some(task));
        let values: Vec<f32> = answer.probabilities.iter().map(|p| *p as f32).collect();
        tensors.insert(format!("probabilities.{task}"), Tensor::f32(vec![1, values.len()], values));
        let rows: Vec<&[f32]> = networks[task].iter().map(|n| views[*n]).collect();
        tensors.insert(
            format!("feature.{task}"),
            Tensor::f32(vec![rows.len(), vit.config.features()], rows.concat()),
        );
    }
    tensors.insert("image".into(), image);
    tensors.insert("pixels".into(), Tensor::f32(vec![1, 3, side, side], pixels));
    Ok(tensors)
}

/// RGB bytes of waves. A shift by one pixel changes the fine ones; the coarse ones are left when
/// the picture is made smaller.
fn picture(rows: usize, columns: usize) -> Vec<u8> {
    let wave = |i: usize| {
        let (row, column, channel) = (i / 3 / columns, i / 3 % columns, i % 3);
        let place = (3 * row + 7 * column + 11 * channel) as f64;
        127.5 + 80.0 * (0.05 * place).sin() + 40.0 * (2.0 * place).sin()
    };
    (0..rows * columns * 3).map(|i| wave(i) as u8).collect()
}
