"""Checks packer against transformers, timm and PEFT: the same base, the same module, the same pixels, the same numbers.

  cargo build --release
  python tests/parity/parity.py --base BASE --data DATA [--size 112]
  python tests/parity/parity.py --random clip --data DATA --size 224 --lr 1e-2      # a CLIP B/16 of random weights
  python tests/parity/parity.py --random timm --data DATA --size 224 --lr 1e-2      # timm's vit_small_patch16_224 of random weights

Run it in a virtual environment with torch, transformers, peft, safetensors, pillow and numpy (benches/training.py makes one), and with
onnx==1.23.2, onnxruntime==1.32.0 and, for timm, timm==1.0.31.
BASE is a folder of transformers (clip, dinov2 or vit) or timm, DATA a folder with splits.csv. It compares the base's feature of
`packer export-onnx`, which onnx.checker must pass, in onnxruntime. Then for several choices of sites it
 1. trains a module with packer, on a few images that already have the input's size, so that no resize stands between the two;
 2. loads the folder with PEFT: no key missing, and probabilities, through a head that spreads them wide, equal to those of
    `packer eval --predictions`;
 3. lets PEFT write the folder anew, and packer read that: the same probabilities;
 4. packs a bundle: its golden features, and those of the exported graph with the bundle's factors in onnxruntime, are those of
    transformers, to a relative 1e-4 (skipped with --no-bundle).
With a base of timm, whose crop_pct must be 1, the module's factors are random ones that PEFT made on timm's model, which packer reads.
Exits with 1 when any check fails.
"""
import argparse
import csv
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import warnings
import zipfile

os.environ |= {"TRANSFORMERS_VERBOSITY": "error", "TQDM_DISABLE": "1"}

import numpy as np
import onnx
import onnxruntime
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from PIL import Image
from safetensors.torch import load, load_file, save_file
from transformers import AutoModel, CLIPVisionConfig, CLIPVisionModelWithProjection

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TOLERANCE = 1e-4
SITES = {"q and v": ["--targets", "q,v", "--alpha", "4"],
         "all six, last two blocks": ["--targets", "q,k,v,o,fc1,fc2", "--last-layers", "2", "--alpha", "4"],
         "k and fc2, alpha 6": ["--targets", "k,fc2", "--alpha", "6"],
         "DoRA at all six": ["--targets", "q,k,v,o,fc1,fc2", "--alpha", "6", "--dora", "--lora-dropout", "0.1"]}
CLIP_SITES = {"q, v and projection": ["--targets", "q,v,projection", "--alpha", "4"], **SITES}
TIMM_SITES = {"qkv": r"blocks\..*qkv", "qkv, proj, fc1, fc2": r"blocks\..*(qkv|attn\.proj|fc1|fc2)"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=pathlib.Path)
    parser.add_argument("--random", choices=["clip", "timm"], help="a full-size base of random weights instead of --base")
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--packer", type=pathlib.Path, default=ROOT / "target/release/packer")
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--images", type=int, default=12, help="images of each class and split")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--lr", type=float, default=1e-3, help="raise it for a base that was never trained")
    parser.add_argument("--no-bundle", action="store_true")
    parser.add_argument("--only", default="", help="choices of sites that have this in their name")
    options = parser.parse_args()
    if (options.base is None) == (options.random is None):
        parser.error("give one of --base and --random")
    failures = 0
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        if options.random:
            options.base = scratch / "base"
            {"clip": random_clip, "timm": random_timm}[options.random](options.base)
        data = small_data(options, scratch / "data")
        base = Base(options.base)
        for name, check, difference in checks(options, base, data, scratch):
            verdict = "ok" if difference <= TOLERANCE else "FAILED"
            failures += verdict != "ok"
            print(f"{name}: {check} differs by {difference:.1e} ({verdict})", flush=True)
    sys.exit(1 if failures else 0)


def checks(options, base, data, scratch):
    graph = scratch / "base.onnx"
    run(options, "export-onnx", "--base", options.base, "--size", options.size, "--out", graph)
    onnx.checker.check_model(str(graph), full_check=True)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    pixels = torch.randn(3, 3, options.size, options.size, generator=torch.Generator().manual_seed(1))
    yield "base", "onnxruntime's feature", relative(onnx_feature(session, {}, pixels), base.feature(pixels))
    sites = {"clip": CLIP_SITES, "timm": TIMM_SITES}.get(base.kind, SITES)
    for number, (name, chosen) in enumerate(sites.items()):
        if options.only not in name:
            continue
        module = scratch / f"module-{number}"
        arguments = ["--targets", "q,v"] if base.kind == "timm" else chosen
        run(options, "train", "--base", options.base, "--data", data, "--task", "parity", "--out", module, "--size", options.size,
            "--epochs", options.epochs, "--batch", 8, "--lr", options.lr, "--rank", 4, *arguments)
        if base.kind == "timm":
            random_adapter(base, chosen, module)
        for check, difference in check_module(options, base, data, module, scratch):
            yield name, check, difference
        if not options.no_bundle:
            for check, difference in check_bundle(options, base, module, scratch / f"{number}.medforge", scratch, session):
                yield name, check, difference


def run(options, *arguments):
    command = list(map(str, [options.packer, *arguments]))
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\nfailed with exit code {done.returncode}: {done.stderr}")
    return done.stdout


def small_data(options, folder):
    """A few images of each class and split as PNGs of the input's own size."""
    with open(options.data / "splits.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    kept, counts = [], {}
    for row in rows:
        key = row["label"], row["split"]
        counts[key] = counts.get(key, 0) + 1
        if counts[key] > options.images:
            continue
        path = pathlib.Path(row["label"]) / f"{row['split']}-{counts[key]}.png"
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        with Image.open(options.data / row["path"]) as image:
            image.convert("RGB").resize((options.size, options.size), Image.BICUBIC).save(folder / path)
        kept.append({"path": path.as_posix(), "label": row["label"], "group": row["group"], "split": row["split"]})
    with open(folder / "splits.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, ["path", "label", "group", "split"])
        writer.writeheader()
        writer.writerows(kept)
    return folder


def random_clip(folder):
    """The configuration of openai/clip-vit-base-patch16: its vision tower and projection."""
    torch.manual_seed(0)
    config = CLIPVisionConfig(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12, image_size=224, patch_size=16, projection_dim=512)
    CLIPVisionModelWithProjection(config).save_pretrained(folder)
    settings = {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": 224}, "crop_size": {"height": 224, "width": 224}, "do_center_crop": True, "resample": 3,
                "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))


def random_timm(folder):
    import timm
    torch.manual_seed(0)
    model = timm.create_model("vit_small_patch16_224", init_values=0.5, num_classes=0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("gamma") or name.endswith("bias"):
                weight.add_(0.1 * torch.randn_like(weight))
    timm.models.save_for_hf(model, folder, safe_serialization=True, model_config={"pretrained_cfg": {"crop_pct": 1.0}})


def random_adapter(base, sites, module):
    """Replaces a module's factors by random ones of timm's names, as PEFT writes them."""
    adapted = get_peft_model(base.model, LoraConfig(r=4, lora_alpha=6, target_modules=sites, init_lora_weights=False))
    adapted.save_pretrained(module)
    base.model = adapted.unload()


class Base:
    """A base in the library that its folder is of."""

    def __init__(self, path):
        config = json.loads((path / "config.json").read_text())
        self.kind = config.get("model_type", "timm").removesuffix("_vision_model")
        if self.kind == "timm":
            import timm
            self.model = timm.create_model(f"local-dir:{path}", pretrained=True).eval()
            said = timm.data.resolve_data_config(model=self.model)
            self.mean, self.deviation, self.rescale = said["mean"], said["std"], 1 / 255
            return
        kind, extra = {"clip": (CLIPVisionModelWithProjection, {}), "vit": (AutoModel, {"add_pooling_layer": False})}.get(self.kind, (AutoModel, {}))
        self.model = kind.from_pretrained(path, dtype=torch.float32, **extra).eval()
        said = json.loads((path / "preprocessor_config.json").read_text())
        self.mean, self.deviation, self.rescale = said["image_mean"], said["image_std"], said.get("rescale_factor", 1 / 255)

    @torch.no_grad()
    def feature(self, pixels, model=None):
        """[N, D]"""
        model = (model or self.model).eval()
        return torch.cat([self.part(part, model) for part in pixels.split(32)])

    def part(self, pixels, model):
        if self.kind == "timm":
            return model.forward_features(pixels)[:, 0]
        extra = {"interpolate_pos_encoding": True} if self.kind in ("clip", "vit") else {}
        out = model(pixel_values=pixels, **extra)
        return out.image_embeds if self.kind == "clip" else out.last_hidden_state[:, 0]

    def normalised(self, images):
        """[N, 3, H, W] of 8-bit images [N, H, W, 3]"""
        values = np.stack(images).astype(np.float32) * np.float32(self.rescale)
        mean, deviation = (np.array(v, np.float32) for v in (self.mean, self.deviation))
        return torch.from_numpy(((values - mean) / deviation).transpose(0, 3, 1, 2).copy())


def features(base, module, pixels, double=True):
    """The feature of each image through the module, the same in float64, and the module as PEFT holds it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = PeftModel.from_pretrained(base.model, module).eval()
    keys = [str(w.message) for w in caught if "adapter keys" in str(w.message)]
    if keys:
        sys.exit(f"PEFT does not take {module} whole: {keys[0]}")
    found = base.feature(pixels, model.base_model.model)
    exact = base.feature(pixels.double(), model.base_model.model.double()) if double else None
    model.float()
    rewritten = module.with_name(module.name + "-rewritten")
    shutil.rmtree(rewritten, ignore_errors=True)
    model.save_pretrained(rewritten)
    base.model = model.unload()
    return found, exact, rewritten


def check_module(options, base, data, module, scratch):
    paths = predictions(options, data, module, scratch)[1]
    pixels = base.normalised([np.asarray(Image.open(data / p)) for p in paths])
    feature, exact, rewritten = features(base, module, pixels)
    untrained = base.feature(pixels)
    if (feature - untrained).norm() / untrained.norm() < 0.01:
        sys.exit("the module hardly changes the feature: the comparison would show nothing")
    # A head that spreads these images' probabilities wide, so that a difference in the features shows.
    weight = torch.randn(load_file(module / "head.safetensors")["weight"].shape, generator=torch.Generator().manual_seed(0))
    weight *= 2 / (feature - feature.mean(0)).matmul(weight.T).std()
    bias = -weight @ feature.mean(0)
    save_file({"weight": weight, "bias": bias}, module / "head.safetensors")
    theirs, true = ((f @ weight.T.to(f) + bias.to(f)).softmax(1).numpy() for f in (feature, exact))
    ours = predictions(options, data, module, scratch)[0]
    made = "packer reading PEFT's adapter" if base.kind == "timm" else "PEFT reading packer's folder"
    print(f"  PyTorch in float32 differs from float64 by {np.abs(theirs - true).max():.1e}, packer from PyTorch by {np.abs(theirs - ours).max():.1e}")
    yield f"probability, {made}, in float64,", float(np.abs(true - ours).max())
    for name in ("head.safetensors", "module.json"):
        shutil.copy(module / name, rewritten / name)
    yield "probability, packer reading PEFT's folder", float(np.abs(predictions(options, data, rewritten, scratch)[0] - ours).max())


def predictions(options, data, module, scratch):
    """Probabilities by `packer eval` [N, classes], and the images' paths."""
    table = scratch / "predictions.csv"
    run(options, "eval", "--base", options.base, "--module", module, "--data", data, "--json", "--resamples", 100, "--predictions", table, "--force")
    with open(table, newline="") as file:
        header, *rows = csv.reader(file)
    first = header.index("prediction") + 1
    return np.array([[float(v) for v in row[first:]] for row in rows]), [row[header.index("path")] for row in rows]


def check_bundle(options, base, module, bundle, scratch, session):
    key = scratch / "key"
    if not key.with_suffix(".key").exists():
        run(options, "keygen", "--out", key)
    run(options, "bundle", "--base", options.base, "--module", module, "--key", key.with_suffix(".key"), "--out", bundle)
    with zipfile.ZipFile(bundle) as archive:
        golden = load(archive.read("golden.safetensors"))
        factors = load(archive.read(next(name for name in archive.namelist() if name.startswith("modules/"))))
    feature, _, _ = features(base, module, golden["pixels"], double=False)
    yield "golden feature", relative(golden["feature.parity"], feature)
    yield "onnxruntime's feature", relative(onnx_feature(session, factors, golden["pixels"]), feature)


def onnx_feature(session, factors, pixels):
    """The graph's feature with a module's factors; sites that it has none for stay as they are, and so do outputs that it has no scale for."""
    inputs = {"pixels": pixels.numpy()}
    for entry in session.get_inputs()[1:]:
        width = [side for side in entry.shape[1:] if isinstance(side, int)][-1]
        kind = entry.name.rsplit(".", 1)[1]
        shape, fill = {"lora_a": ((width, 0), 0), "lora_b": ((0, width), 0), "lora_scale": ((1, width), 1)}[kind]
        factor = factors[entry.name].float().numpy() if entry.name in factors else np.full(shape, fill, np.float32)
        if kind == "lora_scale":
            factor = factor.reshape(shape)
        inputs[entry.name] = np.repeat(factor[None], len(pixels), 0)
    return torch.from_numpy(session.run(["feature"], inputs)[0])


def relative(found, expected):
    return float((found - expected).norm() / expected.norm())


if __name__ == "__main__":
    main()
