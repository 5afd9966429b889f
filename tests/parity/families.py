"""Bases of every family and file layout at the size of a ViT-S, with random weights, through `packer` and through the library that made them.

  python tests/parity/families.py --packer target/release/packer [--only timm]

Needs torch, transformers, timm, open_clip_torch, peft, onnx, onnxruntime, safetensors, numpy and pillow. For each base, which is written as its library writes it,
 1. `packer export-onnx` at its own size of images and at a smaller one: the graph's feature in onnxruntime is the library's, to a relative 1e-5;
 2. where PEFT adapts the model: `packer import` of a random adapter at all layers of the blocks, and `packer bundle`, at the smaller size: the golden feature, which is
    packer's own forward pass, is PEFT's, to a relative 1e-4; and the probabilities of `packer classify`, which is the device's, are PEFT's to 1e-4.
Exits with 1 when any check fails. Takes about four minutes on two cores.
"""
import argparse
import json
import os
import pathlib
import sys
import tempfile
import time
import traceback
import zipfile

os.environ |= {"TRANSFORMERS_VERBOSITY": "error", "TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}

import numpy as np
import onnx
import onnxruntime
import torch
from peft import LoraConfig, get_peft_model
from PIL import Image
from safetensors.torch import load, load_file, save_file

from family_bases import FAMILIES, HALF
from parity import onnx_feature, relative, run

GRAPH, FEATURE = 1e-5, 1e-4


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packer", type=pathlib.Path, required=True)
    parser.add_argument("--only", default="", help="families that have this in their name")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    failures, begun = 0, time.monotonic()
    for name, make in FAMILIES.items():
        if options.only not in name:
            continue
        try:
            with tempfile.TemporaryDirectory() as scratch:
                scratch = pathlib.Path(scratch)
                (scratch / "base").mkdir()
                torch.manual_seed(0)
                for what, difference, most in checks(options, make(scratch / "base"), scratch):
                    verdict = "ok" if difference <= most else "FAILED"
                    failures += verdict != "ok"
                    print(f"{name}: {what} differs by {difference:.1e} ({verdict})", flush=True)
        except (SystemExit, AssertionError) as error:
            failures += 1
            print(f"{name}: FAILED: {error}", flush=True)
        except Exception:
            failures += 1
            print(f"{name}: FAILED: {traceback.format_exc()}", flush=True)
    print(f"{time.monotonic() - begun:.0f} s, {failures} failures")
    sys.exit(1 if failures else 0)


def checks(options, base, scratch):
    generator = torch.Generator().manual_seed(1)
    if base.convert:
        run(options, "base", "convert", base.place, "--out", scratch / "converted", *base.convert)
        base.place = scratch / "converted"
    for size in filter(None, (base.side, base.smaller)):
        graph = scratch / f"{size}.onnx"
        run(options, "export-onnx", "--base", base.place, "--size", size, "--out", graph)
        onnx.checker.check_model(str(graph), full_check=size == base.side)
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = options.threads
        session = onnxruntime.InferenceSession(graph, settings, providers=["CPUExecutionProvider"])
        pixels = torch.randn(2, 3, size, size, generator=generator)
        yield f"onnxruntime's feature at {size} pixels", relative(onnx_feature(session, {}, pixels), base.feature(pixels)), GRAPH
    if base.sites:
        yield from adapted(options, base, scratch)


def adapted(options, base, scratch):
    """A random adapter and a head that spreads probabilities wide, as PEFT saves them together."""
    size, generator = base.smaller, torch.Generator().manual_seed(2)
    config = LoraConfig(r=4, lora_alpha=6, target_modules=base.sites, init_lora_weights=False)
    model = get_peft_model(base.model, config)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.mul_(0.2)
    adapter = scratch / "adapter"
    model.save_pretrained(adapter)
    image = Image.fromarray(np.random.default_rng(3).integers(0, 256, (size, size, 3), np.uint8))
    image.save(scratch / "image.png")
    pixels = torch.from_numpy(((np.asarray(image, np.float32) / 255 - np.float32(HALF["image_mean"])) / np.float32(HALF["image_std"])).transpose(2, 0, 1)[None].copy())
    feature = base.feature(pixels, model.base_model.model)
    weight = torch.randn(3, feature.shape[1], generator=generator)
    weight /= (weight @ feature[0]).std()
    bias = torch.randn(3, generator=generator)
    tensors = load_file(adapter / "adapter_model.safetensors")
    save_file(tensors | {"base_model.model.head.weight": weight, "base_model.model.head.bias": bias}, adapter / "adapter_model.safetensors")
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"modules_to_save": ["head"]}))

    module, bundle, key = scratch / "module", scratch / "b.medforge", scratch / "key"
    run(options, "import", "--base", base.place, "--adapter", adapter, "--task", "parity", *(f"--class={c}" for c in "abc"), "--size", size, "--out", module)
    run(options, "keygen", "--out", key)
    run(options, "bundle", "--base", base.place, "--module", module, "--key", key.with_suffix(".key"), "--out", bundle)
    with zipfile.ZipFile(bundle) as archive:
        golden = load(archive.read("golden.safetensors"))
    theirs = base.feature(golden["pixels"], model.base_model.model)
    plain = base.feature(golden["pixels"], model.unload())
    assert relative(theirs, plain) > 0.01, "the adapter hardly changes the feature: the comparison would show nothing"
    yield f"golden feature with PEFT's adapter at {size} pixels", relative(golden["feature.parity"], theirs), FEATURE
    said = json.loads(run(options, "classify", bundle, "--trust", key.with_suffix(".pub"), scratch / "image.png", "--json"))
    said = (said[0] if isinstance(said, list) else said)["probabilities"]
    ours = torch.tensor([entry["probability"] for entry in said])
    yield "probability of packer classify", float((ours - (feature @ weight.T + bias).softmax(1)[0]).abs().max()), FEATURE


if __name__ == "__main__":
    main()
