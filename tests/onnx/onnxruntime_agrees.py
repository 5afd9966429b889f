"""Checks in onnxruntime what packer writes for other runtimes.

    python tests/onnx/onnxruntime_agrees.py PACKER BASE MODULE

PACKER is the binary, BASE a Hugging Face folder, MODULE a folder that `packer train` wrote. Needs numpy and onnxruntime.
The module's factors go through the exported graph with the bundle's golden pixels; the feature must be the bundle's
golden feature (packer's own forward pass, which the runtime's tract is held to at every load) to a relative 1e-4.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import time
import zipfile

import numpy as np
import onnxruntime

TOLERANCE = 1e-4


def safetensors(data):
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    types = {"F32": np.float32, "F16": np.float16}
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            start, end = (8 + length + offset for offset in entry["data_offsets"])
            tensors[name] = np.frombuffer(data[start:end], types[entry["dtype"]]).reshape(entry["shape"])
    return tensors


def main():
    packer, base, module = sys.argv[1:4]
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        run = lambda *arguments: subprocess.run([packer, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)
        run("keygen", "--out", place / "k")
        run("bundle", "--base", base, "--module", module, "--key", place / "k.key", "--out", place / "b.medforge")
        with zipfile.ZipFile(place / "b.medforge") as bundle:
            entry = next(name for name in bundle.namelist() if name.startswith("modules/"))
            factors = safetensors(bundle.read(entry))
            golden = safetensors(bundle.read("golden.safetensors"))
            size = json.loads(bundle.read("manifest.json"))["base"]["image_size"][0]
        run("export-onnx", "--base", base, "--size", size, "--out", place / "base.onnx")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(place / "base.onnx", options, providers=["CPUExecutionProvider"])

    expected = next(tensor for name, tensor in golden.items() if name.startswith("feature."))

    def feed(images):
        inputs = {"pixels": np.repeat(golden["pixels"], images, 0)}
        for input in session.get_inputs()[1:]:
            width = [side for side in input.shape[1:] if isinstance(side, int)][-1]
            kind = input.name.rsplit(".", 1)[1]
            shape, fill = {"lora_a": ((width, 0), 0), "lora_b": ((0, width), 0), "lora_scale": ((1, width), 1)}[kind]
            factor = factors.get(input.name, np.full(shape, fill, np.float32))
            if kind == "lora_scale":
                factor = factor.reshape(shape)
            inputs[input.name] = np.repeat(factor[None], images, 0)
        return inputs

    worst = 0.0
    for images in (1, 3):
        features = session.run(["feature"], feed(images))[0]
        errors = np.linalg.norm(features - expected, axis=1) / np.linalg.norm(expected)
        worst = max(worst, float(errors.max()))
    neutral = lambda name, value: np.ones_like(value) if name.endswith("lora_scale") else np.zeros_like(value)
    bare = {name: value if name == "pixels" else neutral(name, value) for name, value in feed(1).items()}
    change = np.linalg.norm(session.run(["feature"], bare)[0] - expected) / np.linalg.norm(expected)
    times = []
    for _ in range(10):
        start = time.perf_counter()
        session.run(["feature"], feed(1))
        times.append(1e3 * (time.perf_counter() - start))
    print(f"relative error {worst:.1e} (the module changes the feature by {change:.1e}); one image {np.median(times):.0f} ms")
    if not worst < TOLERANCE < change:
        sys.exit(f"onnxruntime and packer differ by more than {TOLERANCE}, or the module changes nothing")


main()
