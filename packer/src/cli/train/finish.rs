//! From trained weights to a module: calibrated, and judged on the validation part.

use medforge_runtime::tensors::{Dtype, Tensor};

use super::args::Args;
use super::prepared::Prepared;
use crate::calibration::CalibrationImages;
use crate::cli::device::on_device;
use crate::eval::{Details, bootstrap};
use crate::lora::Module;
use crate::predict::probabilities;
use crate::train::{About, Examples, Trained};
use crate::{Error, calibration};

/// Images between two looks at the calibration's progress.
const CALIBRATED_TOGETHER: usize = 32;

/// The module of a training, and the base that it is for: after full training a new one.
pub(super) fn module_of(
    args: &Args,
    prepared: &mut Prepared,
    mut trained: Trained,
) -> Result<Module, Error> {
    if let Some(mut tensors) = trained.base.take() {
        if args.half {
            tensors.values_mut().for_each(narrow);
        }
        prepared.vit.tensors = tensors.into_iter().map(|(n, t)| (n, t.into())).collect();
    }
    let about = About {
        task: args.task.clone(),
        contributor: args.contributor.clone(),
        licence: args.licence.clone(),
    };
    let mut module = trained.into_module(&prepared.vit, &prepared.settings, about)?;
    module.card.class_texts = std::mem::take(&mut prepared.texts);
    Ok(module)
}

/// Calibrates the module on the validation part; the features of its images, if there is one.
pub(super) fn calibrate(
    args: &Args,
    prepared: &Prepared,
    module: &mut Module,
    examples: Examples,
) -> Result<Option<Vec<Vec<f32>>>, Error> {
    let Examples { images, training, validation, .. } = examples;
    if validation.is_empty() {
        return Ok(None);
    }
    let at_once = prepared.cut().map_or(CALIBRATED_TOGETHER, |cut| cut.per_pass);
    let on = CalibrationImages { images, training, validation };
    let (vit, least) = (&prepared.vit, args.min_calibration_groups);
    let features = on_device!(prepared.device, device => {
        calibration::calibrate(device, vit, module, &on, at_once, least)
    })?;
    Ok(Some(features))
}

/// How the module does on the validation part, whose features are given.
pub(super) fn validation_details(
    module: &Module,
    examples: Examples,
    features: &[Vec<f32>],
    seed: u64,
) -> Result<Details, Error> {
    let Examples { classes, images, validation, .. } = examples;
    let rows: Vec<f32> =
        features.iter().flat_map(|f| probabilities(&module.head, f)).map(|p| p as f32).collect();
    let of = |all: &[usize]| validation.iter().map(|&i| all[i]).collect::<Vec<_>>();
    let (labels, groups) = (of(images.labels()), of(images.groups()));
    Details::new(classes.len(), &labels, &groups, &rows, bootstrap::RESAMPLES, seed)
}

/// The nearest f16 values, to be stored as such.
fn narrow(tensor: &mut Tensor) {
    tensor.dtype = Dtype::F16;
    for value in &mut tensor.data {
        *value = half::f16::from_f32(*value).to_f32();
    }
}
