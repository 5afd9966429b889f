"""Checks packer against transformers and PEFT: the same base, the same module, the same pixels, the same numbers.

  cargo build --release
  python tests/parity/parity.py --base BASE --data DATA [--size 112]

Run it in a virtual environment with torch, transformers, peft, safetensors, pillow and numpy (benches/training.py makes one).
BASE is a Hugging Face folder (dinov2 or vit), DATA a folder with splits.csv. For several choices of sites it
 1. trains a module with packer, on a few images that already have the input's size, so that no resize stands between the two;
 2. loads the folder with PEFT: no key missing, and probabilities, through a head that spreads them wide, equal to those of
    `packer eval --predictions`;
 3. lets PEFT write the folder anew, and packer read that: the same probabilities;
 4. packs a bundle: its golden features are those of transformers, to a relative 1e-4 (skipped with --no-bundle).
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
import torch
from peft import PeftModel
from PIL import Image
from safetensors.torch import load, load_file, save_file
from transformers import AutoModel

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TOLERANCE = 1e-4
SITES = {"q and v": ["--targets", "q,v", "--alpha", "4"],
         "all six, last two blocks": ["--targets", "q,k,v,o,fc1,fc2", "--last-layers", "2", "--alpha", "4"],
         "k and fc2, alpha 6": ["--targets", "k,fc2", "--alpha", "6"],
         "DoRA at all six": ["--targets", "q,k,v,o,fc1,fc2", "--alpha", "6", "--dora", "--lora-dropout", "0.1"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", type=pathlib.Path, required=True)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--packer", type=pathlib.Path, default=ROOT / "target/release/packer")
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--images", type=int, default=12, help="images of each class and split")
    parser.add_argument("--lr", type=float, default=1e-3, help="raise it for a base that was never trained")
    parser.add_argument("--no-bundle", action="store_true")
    options = parser.parse_args()
    failures = 0
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        data = small_data(options, scratch / "data")
        base = load_base(options.base)
        for number, (name, arguments) in enumerate(SITES.items()):
            module = scratch / f"module-{number}"
            run(options, "train", "--base", options.base, "--data", data, "--task", "parity", "--out", module, "--size", options.size,
                "--epochs", 4, "--batch", 8, "--lr", options.lr, "--rank", 4, *arguments)
            checks = dict(check_module(options, base, data, module, scratch))
            if not options.no_bundle:
                checks["golden feature"] = check_bundle(options, base, module, scratch / f"{number}.medforge", scratch)
            for check, difference in checks.items():
                verdict = "ok" if difference <= TOLERANCE else "FAILED"
                failures += verdict != "ok"
                print(f"{name}: {check} differs by {difference:.1e} ({verdict})")
    sys.exit(1 if failures else 0)


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


def load_base(path):
    plain_vit = json.loads((path / "config.json").read_text())["model_type"] == "vit"
    extra = {"add_pooling_layer": False} if plain_vit else {}
    model = AutoModel.from_pretrained(path, dtype=torch.float32, **extra).eval()
    model.forward_options = {"interpolate_pos_encoding": True} if plain_vit else {}
    return model


@torch.no_grad()
def features(base, module, pixels):
    """The feature of each image through the module, and the module as PEFT holds it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = PeftModel.from_pretrained(base, module).eval()
    keys = [str(w.message) for w in caught if "adapter keys" in str(w.message)]
    if keys:
        sys.exit(f"PEFT does not take {module} whole: {keys[0]}")
    parts = [model(pixel_values=part, **base.forward_options).last_hidden_state[:, 0] for part in pixels.split(32)]
    rewritten = module.with_name(module.name + "-rewritten")
    shutil.rmtree(rewritten, ignore_errors=True)
    model.save_pretrained(rewritten)
    model.unload()
    return torch.cat(parts), rewritten


def check_module(options, base, data, module, scratch):
    said = json.loads((options.base / "preprocessor_config.json").read_text())
    mean, deviation = (np.array(said[k], np.float32) for k in ("image_mean", "image_std"))
    paths = predictions(options, data, module, scratch)[1]
    stack = [np.asarray(Image.open(data / p), np.float32) * np.float32(said.get("rescale_factor", 1 / 255)) for p in paths]
    pixels = torch.from_numpy(((np.stack(stack) - mean) / deviation).transpose(0, 3, 1, 2).copy())
    feature, rewritten = features(base, module, pixels)
    untrained = features_without(base, pixels)
    if (feature - untrained).norm() / untrained.norm() < 0.01:
        sys.exit("the module hardly changes the feature: the comparison would show nothing")
    # A head that spreads these images' probabilities wide, so that a difference in the features shows.
    weight = torch.randn(load_file(module / "head.safetensors")["weight"].shape, generator=torch.Generator().manual_seed(0))
    weight *= 2 / (feature - feature.mean(0)).matmul(weight.T).std()
    bias = -weight @ feature.mean(0)
    save_file({"weight": weight, "bias": bias}, module / "head.safetensors")
    theirs = (feature @ weight.T + bias).softmax(1).numpy()
    ours = predictions(options, data, module, scratch)[0]
    yield "probability, PEFT reading packer's folder", float(np.abs(theirs - ours).max())
    for name in ("head.safetensors", "module.json"):
        shutil.copy(module / name, rewritten / name)
    yield "probability, packer reading PEFT's folder", float(np.abs(predictions(options, data, rewritten, scratch)[0] - ours).max())


@torch.no_grad()
def features_without(base, pixels):
    return base(pixel_values=pixels, **base.forward_options).last_hidden_state[:, 0]


def predictions(options, data, module, scratch):
    """Probabilities by `packer eval` [N, classes], and the images' paths."""
    table = scratch / "predictions.csv"
    run(options, "eval", "--base", options.base, "--module", module, "--data", data, "--json", "--resamples", 100, "--predictions", table)
    with open(table, newline="") as file:
        header, *rows = csv.reader(file)
    first = header.index("prediction") + 1
    return np.array([[float(v) for v in row[first:]] for row in rows]), [row[header.index("path")] for row in rows]


def check_bundle(options, base, module, bundle, scratch):
    key = scratch / "key"
    if not key.with_suffix(".key").exists():
        run(options, "keygen", "--out", key)
    run(options, "bundle", "--base", options.base, "--module", module, "--key", key.with_suffix(".key"), "--out", bundle)
    with zipfile.ZipFile(bundle) as archive:
        golden = load(archive.read("golden.safetensors"))
    feature, _ = features(base, module, golden["pixels"])
    difference = (feature - golden["feature.parity"]).norm() / feature.norm()
    return float(difference)


if __name__ == "__main__":
    main()
