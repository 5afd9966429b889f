//! The names that a state dict may use, and what they stand for here. None of them is code.

use safetensors::Dtype;

use super::NO_CODE;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Global {
    /// `torch._utils._rebuild_tensor_v2` and the one before it: a tensor over a storage.
    Tensor,
    /// `torch._utils._rebuild_parameter`: the tensor in it.
    Parameter,
    /// The type of a storage, by that of its values.
    Storage(Dtype),
    /// A dictionary, empty at first.
    Dict,
    /// Plain data, of which nothing is kept.
    Inert,
}

/// What `module.name` stands for.
///
/// # Errors
/// Why it is not read.
pub fn global(module: &str, name: &str) -> Result<Global, String> {
    let whole = format!("{module}.{name}");
    if let Some((_, global)) = TENSORS.iter().find(|(known, _)| *known == whole) {
        return Ok(*global);
    }
    if INERT.contains(&whole.as_str()) || module == "torch" && DTYPES.contains(&name) {
        return Ok(Global::Inert);
    }
    let hint = REFUSED.iter().find(|(known, _)| whole.starts_with(known));
    let hint = hint.map_or(NO_CODE, |(_, hint)| hint);
    Err(format!("names {whole:?}, which is not read: {hint}"))
}

const TENSORS: [(&str, Global); 17] = [
    ("collections.OrderedDict", Global::Dict),
    ("collections.defaultdict", Global::Dict),
    ("torch._utils._rebuild_tensor", Global::Tensor),
    ("torch._utils._rebuild_tensor_v2", Global::Tensor),
    ("torch._utils._rebuild_parameter", Global::Parameter),
    ("torch._utils._rebuild_parameter_with_state", Global::Parameter),
    ("torch.BFloat16Storage", Global::Storage(Dtype::BF16)),
    ("torch.BoolStorage", Global::Storage(Dtype::BOOL)),
    ("torch.ByteStorage", Global::Storage(Dtype::U8)),
    ("torch.CharStorage", Global::Storage(Dtype::I8)),
    ("torch.DoubleStorage", Global::Storage(Dtype::F64)),
    ("torch.FloatStorage", Global::Storage(Dtype::F32)),
    ("torch.HalfStorage", Global::Storage(Dtype::F16)),
    ("torch.IntStorage", Global::Storage(Dtype::I32)),
    ("torch.LongStorage", Global::Storage(Dtype::I64)),
    ("torch.ShortStorage", Global::Storage(Dtype::I16)),
    ("torch.storage.UntypedStorage", Global::Storage(Dtype::U8)),
];

/// Plain data that trainings keep beside the weights.
const INERT: [&str; 26] = [
    "__builtin__.dict",
    "__builtin__.float",
    "__builtin__.int",
    "__builtin__.list",
    "__builtin__.set",
    "_codecs.encode",
    "argparse.Namespace",
    "builtins.dict",
    "builtins.float",
    "builtins.int",
    "builtins.list",
    "builtins.set",
    "collections.Counter",
    "numpy._core.multiarray.scalar",
    "numpy.core.multiarray.scalar",
    "numpy.dtype",
    "numpy.dtypes.Float32DType",
    "numpy.dtypes.Float64DType",
    "numpy.dtypes.Int64DType",
    "pathlib.Path",
    "pathlib.PosixPath",
    "pathlib.WindowsPath",
    "pathlib._local.PosixPath",
    "pathlib._local.WindowsPath",
    "torch.Size",
    "torch.device",
];

const DTYPES: [&str; 10] = [
    "bfloat16", "bool", "float16", "float32", "float64", "int16", "int32", "int64", "int8", "uint8",
];

/// Names, or how they begin, for which there is better advice.
const REFUSED: [(&str, &str); 8] = [
    ("torch._utils._rebuild_qtensor", "packer reads no quantised tensors"),
    ("torch._utils._rebuild_sparse", "packer reads no sparse tensors; save them by to_dense()"),
    ("torch._utils._rebuild_meta_tensor", "a tensor on the device meta has no values"),
    ("torch._utils._rebuild_tensor_v3", "packer reads no values of this type; save them as f16"),
    ("torch.Q", "packer reads no quantised tensors"),
    ("torch.Complex", "packer reads no complex tensors"),
    ("torch.nn.", "this is a whole model, which is code; save its state_dict()"),
    ("__torch__.", "this is a program (TorchScript), which is code; save its state_dict()"),
];
