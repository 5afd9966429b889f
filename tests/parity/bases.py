"""Writes tests/golden/bases: tiny models of every family and file layout, and the features that the libraries compute with them.

  python tests/parity/bases.py [--out tests/golden/bases] [--only registers]

golden.py runs this too. Needs torch, transformers, timm, open_clip_torch, peft, safetensors, numpy and pillow. Each folder is a base as its
library writes it (or, with `file` in case.json, a folder with that one file), with
 - case.json: which libraries computed it, what the network is in the words of packer (`shape`), the feature that a reader should take where nobody says (`default`);
 - golden.safetensors: `POOLING.SIZE` [2, D] of the images `pixels.SIZE` [2, 3, SIZE, SIZE] in inputs.safetensors, which all cases share. Where case.json
   lists `adapters`, their folders are PEFT's, and `ADAPTER.POOLING.SIZE` are the features with them. Where it lists `trained`, `train.KIND.*` are ten steps
   as golden.py makes them, over `train.pixels` [10, 2, 3, 16, 16] and `train.labels` [10, 2] of inputs.safetensors.
"""
import argparse
import importlib.metadata
import json
import os
import pathlib
import shutil

os.environ |= {"TRANSFORMERS_VERBOSITY": "error", "TQDM_DISABLE": "1", "HF_HUB_OFFLINE": "1"}

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SIZE, SIZES, WIDTH, BLOCKS, HEADS, PATCH, MLP = 16, (16, 8, 20), 16, 2, 2, 4, 24
CLASSES, BATCH, STEPS, RATE, DECAY = 3, 2, 10, 1e-2, 0.01
CASES = {}


def case(name, *libraries):
    """Registers a function of a folder, which writes a base there and returns a Golden."""
    def register(make):
        CASES[name] = make, ("torch", *libraries)
        return make
    return register


class Golden:
    """What a case expects: features by pooling, as functions of pixels."""

    def __init__(self, model, features, default, shape, sizes=SIZES, file=None, note=None, resized=None):
        self.model, self.features, self.default, self.shape, self.sizes, self.file, self.note = model, features, default, shape, sizes, file, note
        self.resized = resized or (lambda model, size: model)
        self.adapters, self.trained = {}, {}
        assert default in features

    def tensors(self, inputs):
        """{POOLING.SIZE: [2, D]}"""
        found = {}
        for size in self.sizes:
            model = self.resized(self.model, size)
            for pooling, feature in self.features.items():
                with torch.no_grad():
                    found[f"{pooling}.{size}"] = feature(model, inputs[f"pixels.{size}"]).clone()
        return found


def plain_shape(**changes):
    """A network in packer's words: the plain vision transformer with changes."""
    return dict(image_size=SIZE, patch=PATCH, hidden=WIDTH, layers=BLOCKS, heads=HEADS, mlp=MLP, activation="gelu", eps=1e-6, class_token=True, registers=0,
                positions="learned", interpolation="plain", gated=False, qkv_bias=True, key_bias=True, qk_norm=False, layer_scale=False, pre_norm=False,
                projection=None) | changes


def shake(model, only=""):
    """Weights large enough that every part shows in the result, rounded to f16 so that files stay small and exact."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if only not in name:
                continue
            scales = ("magnitude", "layer_scale", "gamma", "ls1", "ls2")
            if "norm" in name and name.endswith("weight") or ".ln_" in name and name.endswith("weight") or any(s in name for s in scales):
                weight.mul_(1 + 0.2 * torch.randn_like(weight))
            elif "logit" not in name:
                weight.copy_(0.3 * torch.randn_like(weight))
            weight.copy_(weight.half().float())
    return model.eval()


def peft(golden, new, kinds, sites, trained=(), targets=None):
    """Adds adapters at `sites` (a pattern of module names) with random factors, and ten steps of training. `new()` makes the base anew."""
    for kind in kinds:
        golden.adapters[kind] = new, LoraConfig(r=2, lora_alpha=3, target_modules=sites, use_dora=kind == "dora")
    for kind in trained:
        golden.trained[kind] = new, LoraConfig(r=2, lora_alpha=3, target_modules=targets, use_dora=kind == "dora")
    return golden


def adapted(golden, folder, inputs):
    found = {}
    for kind, (new, config) in golden.adapters.items():
        model = get_peft_model(new(), config)
        shake(model, "lora_")
        model.save_pretrained(folder / kind)
        path = folder / kind / "adapter_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"base_model_name_or_path": None}, indent=1) + "\n")
        with torch.no_grad():
            feature, base = (golden.features[golden.default](m, inputs[f"pixels.{SIZE}"]) for m in (model.base_model.model, golden.model))
        assert (feature - base).norm() > 0.01 * base.norm(), f"{kind} changes nothing"
        found[f"{kind}.{golden.default}.{SIZE}"] = feature.clone()
    return found


def trained(golden, inputs):
    """Ten steps of AdamW on LoRA factors and a linear head that starts at zero."""
    found, feature = {}, golden.features[golden.default]
    for kind, (new, config) in golden.trained.items():
        torch.manual_seed(11)
        model = get_peft_model(new(), config)
        width = feature(model.base_model.model, inputs["train.pixels"][0]).shape[1]
        head = torch.nn.Linear(width, CLASSES)
        torch.nn.init.zeros_(head.weight), torch.nn.init.zeros_(head.bias)
        weights = {name: value for name, value in model.named_parameters() if value.requires_grad}
        short = lambda name: name.removeprefix("base_model.model.").replace(".default", "")
        found |= {f"train.{kind}.start.{short(name)}": value.detach().clone() for name, value in weights.items()}
        optimiser = torch.optim.AdamW([*weights.values(), *head.parameters()], lr=RATE, weight_decay=DECAY)
        losses = []
        for pixels, labels in zip(inputs["train.pixels"], inputs["train.labels"]):
            optimiser.zero_grad()
            loss = torch.nn.functional.cross_entropy(head(feature(model.base_model.model, pixels)), labels.long())
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        found |= {f"train.{kind}.end.{short(name)}": value.detach().clone() for name, value in weights.items()}
        found |= {f"train.{kind}.end.head.weight": head.weight.detach(), f"train.{kind}.end.head.bias": head.bias.detach()}
        found[f"train.{kind}.loss"] = torch.tensor(losses[-1:])
        found[f"train.{kind}.losses"] = torch.tensor(losses)
    return found


def write(out, only=""):
    """Every case whose name begins with `only`; case.json, golden.safetensors and adapters beside the base."""
    import bases_hf, bases_names, bases_timm  # noqa: F401 (they register their cases)
    out.mkdir(parents=True, exist_ok=True)
    inputs = shared(out / "inputs.safetensors")
    for name, (make, libraries) in CASES.items():
        if not name.startswith(only):
            continue
        folder = out / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        torch.manual_seed(7)
        golden = make(folder)
        tensors = golden.tensors(inputs) | adapted(golden, folder, inputs) | trained(golden, inputs)
        assert all(value.isfinite().all() for value in tensors.values())
        save_file({key: value.contiguous() for key, value in tensors.items()}, folder / "golden.safetensors")
        for path in folder.rglob("README.md"):
            path.unlink()
        packages = {"torch": "torch", "open_clip": "open_clip_torch"}
        said = {"libraries": {library: importlib.metadata.version(packages.get(library, library)) for library in libraries}}
        said |= {"file": golden.file} if golden.file else {}
        said |= {"default": golden.default, "poolings": list(golden.features), "sizes": list(golden.sizes), "shape": golden.shape}
        said |= {"adapters": list(golden.adapters)} if golden.adapters else {}
        said |= {"trained": list(golden.trained)} if golden.trained else {}
        said |= {"note": golden.note} if golden.note else {}
        (folder / "case.json").write_text(json.dumps(said, indent=1) + "\n")
        print(f"{name}: {golden.default} {list(tensors[f'{golden.default}.{SIZE}'].shape)}, {sum(p.stat().st_size for p in folder.rglob('*') if p.is_file())} bytes", flush=True)


def shared(path):
    """The images and labels of all cases; written once, and kept."""
    if path.exists():
        return {name: value.float() for name, value in load_file(path).items()}
    generator = torch.Generator().manual_seed(3)
    tensors = {f"pixels.{size}": torch.randn(2, 3, size, size, generator=generator) for size in SIZES}
    tensors["train.pixels"] = torch.randn(STEPS, BATCH, 3, SIZE, SIZE, generator=generator)
    tensors["train.labels"] = torch.randint(0, CLASSES, (STEPS, BATCH), generator=generator).float()
    tensors = {name: value.half() for name, value in tensors.items()}
    save_file(tensors, path)
    return {name: value.float() for name, value in tensors.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "tests/golden/bases")
    parser.add_argument("--only", default="", help="write the cases whose name begins so")
    options = parser.parse_args()
    torch.set_num_threads(1)
    write(options.out, options.only)


if __name__ == "__main__":
    import bases  # the cases register themselves in the module, not in __main__
    bases.main()
