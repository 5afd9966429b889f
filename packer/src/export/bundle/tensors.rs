//! The files of tensors in a bundle.

use std::collections::BTreeMap;

use medforge_runtime::tensors::{self, Tensor};

use crate::Error;
use crate::base::Vit;
use crate::export::onnx;
use crate::merge::Sites;

/// The factors as the runtime takes them: `lora_a` [in, rank] and `lora_b` [rank, out]. DoRA has
/// `lora_scale` `[out]` as well: the magnitudes, already divided by the norms of the changed
/// weight.
pub(super) fn factors(vit: &Vit, sites: &Sites) -> BTreeMap<String, Tensor> {
    let mut tensors = BTreeMap::new();
    for (site, factors) in sites {
        tensors.insert(format!("{site}.lora_a"), transposed(&factors.a));
        tensors.insert(format!("{site}.lora_b"), transposed(&factors.b));
        if let Some(scale) = factors.magnitude_scales(&vit.tensor(&format!("{site}.weight"))) {
            tensors.insert(format!("{site}.lora_scale"), Tensor::f32(vec![scale.len()], scale));
        }
    }
    tensors
}

/// The transpose of a matrix.
fn transposed(matrix: &Tensor) -> Tensor {
    let (rows, columns) = (matrix.shape[0], matrix.shape[1]);
    Tensor::f32(vec![columns, rows], onnx::transposed(&matrix.data, rows, columns))
}

/// A safetensors file of `tensors`.
pub(super) fn write(tensors: &BTreeMap<String, Tensor>) -> Result<Vec<u8>, Error> {
    let by_name = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor));
    Ok(tensors::write(by_name, &BTreeMap::new())?)
}
