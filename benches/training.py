"""Training speed and memory of `packer train` beside PyTorch + PEFT: same images, same recipe, same machine,
taking turns.

  cargo build --release
  python3 benches/training.py --base BASE --data DATA    # BASE: a Hugging Face folder, family clip, dinov2 or vit
  python3 benches/training.py --base BASE --data DATA --clip --batch 8 --epochs 1 --repeats 5

With --clip a second case takes its turns in the same run: a CLIP ViT-B/16 with random weights (of the shape
of openai/clip-vit-base-patch16's vision tower, made in target/) at 224 px. LoRA adapts q and v, in a CLIP
also the visual projection.

Needs Python 3.11 or later and the network once: PyTorch, transformers, PEFT and the rest go by pip into a
scratch virtual environment (--venv, default target/peer-venv). Prints a table and writes --out as JSON.

Images/s count the training loop alone, for both: loading, decoding and resizing come before the clock starts.
The peer gets its images as normalised floats in memory beforehand, which is to its advantage. Images per
CPU-second are of the same loop. Peak memory (maximum resident set), wall time and processor time are also
given of the whole process, interpreter, libraries and loading included. With --evaluate, the balanced
accuracy on the test split is measured too.
"""

import argparse
import csv
import json
import math
import os
import pathlib
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time

from peers import environment

ROOT = pathlib.Path(__file__).resolve().parent.parent
CLIP = ROOT / "target/clip-vit-b16-random"
PACKAGES = [
    "torch==2.15.0",
    "transformers==5.23.0",
    "peft==0.21.2",
    "safetensors==0.8.0",
    "pillow==13.0.0",
    "scikit-learn==1.9.1",
    "numpy==2.4.6",
]
MODULES = "torch, transformers, peft, safetensors, PIL, sklearn, numpy"


def main():
    options = arguments()
    if options.make_clip:
        return make_clip(pathlib.Path(options.make_clip))
    if options.peer:
        return print(json.dumps(peer(options)))
    packer = pathlib.Path(options.packer)
    if not packer.is_file():
        sys.exit(f"{packer} is not there: build it with `cargo build --release`, or say where it is with --packer")
    python = environment(pathlib.Path(options.venv), PACKAGES, MODULES)
    cases = {pathlib.Path(options.base).name: options}
    if options.clip:
        subprocess.run(
            [python, __file__, "--make-clip", CLIP, "--base", options.base, "--data", options.data], check=True
        )
        cases["CLIP ViT-B/16, random"] = argparse.Namespace(**{**vars(options), "base": str(CLIP), "size": 224})
    runs = {case: {"packer": [], "peft": []} for case in cases}
    for repeat in range(options.repeats):
        turns = ["packer", "peft"] if repeat % 2 == 0 else ["peft", "packer"]
        for case, chosen in cases.items():
            for who in turns:
                run = run_packer(chosen, packer, repeat) if who == "packer" else run_peer(chosen, python, repeat)
                print(
                    f"repeat {repeat + 1} of {options.repeats}, {case}, {who}: {json.dumps(run)}",
                    file=sys.stderr,
                    flush=True,
                )
                runs[case][who].append(run)
    results = {case: report(case, cases[case], runs[case]) for case in cases}
    result = {
        "options": {k: v for k, v in vars(options).items() if k not in ("peer", "make_clip")},
        "processor": processor(),
        "cases": results,
    }
    out = pathlib.Path(options.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=2) + "\n")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--packer", default=str(ROOT / "target/release/packer"))
    parser.add_argument("--venv", default=str(ROOT / "target/peer-venv"))
    parser.add_argument("--out", default=str(ROOT / "target/training-bench.json"))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--rank", type=int, default=16)
    parser.add_argument("--alpha", type=float, default=16)
    parser.add_argument("--clip", action="store_true", help="also a CLIP ViT-B/16 with random weights at 224 px")
    parser.add_argument("--memory", help="a bound for packer, as `packer train --memory` takes it")
    parser.add_argument("--evaluate", action="store_true", help="also measure balanced accuracy on the test split")
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the first repeat; each next one takes the next seed"
    )
    parser.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--make-clip", help=argparse.SUPPRESS)
    return parser.parse_args()


def measured(command, **more):
    """Runs a command; its standard output, and its peak resident memory in MB, wall time and processor time
    in seconds."""
    begun = time.perf_counter()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, stdout=output, **more)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"{' '.join(map(str, command))} failed with exit code {process.returncode}")
        output.seek(0)
        whole = {
            "peak_mb": usage.ru_maxrss / 1024,
            "process_wall_s": time.perf_counter() - begun,
            "process_cpu_s": usage.ru_utime + usage.ru_stime,
        }
        return output.read(), whole


def run_packer(options, packer, repeat):
    seed = options.seed + repeat
    with tempfile.TemporaryDirectory() as scratch:
        module = pathlib.Path(scratch) / "module"
        threads = {**os.environ, "RAYON_NUM_THREADS": str(options.threads)}
        shared = ["--base", options.base, "--data", options.data]
        recipe = [
            "--size",
            options.size,
            "--epochs",
            options.epochs,
            "--batch",
            options.batch,
            "--lr",
            options.lr,
            "--rank",
            options.rank,
            "--alpha",
            options.alpha,
            "--targets",
            ",".join(targets(options.base)),
            "--flips",
            "both",
            "--device",
            "cpu",
            "--seed",
            seed,
        ]
        recipe += ["--memory", options.memory] if options.memory else []
        command = [packer, "train", *shared, "--task", "bench", "--out", module, *recipe]
        _, process = measured(list(map(str, command)), env=threads)
        speed = json.loads((module / "run.json").read_text())
        run = {
            "images_per_s": speed["train_images_per_s"],
            "images_per_cpu_s": speed["train_images_per_cpu_s"],
            **process,
            "seed": seed,
        }
        if options.evaluate:
            text, _ = measured(list(map(str, [packer, "eval", *shared, "--module", module, "--json"])), env=threads)
            metrics = {m["name"]: m["value"] for m in json.loads(text)["metrics"]}
            run["balanced_accuracy"] = metrics["balanced_accuracy"]
    return run


def run_peer(options, python, repeat):
    names = ["base", "data", "threads", "epochs", "size", "batch", "lr", "rank", "alpha"]
    command = [python, __file__, "--peer", "--seed", options.seed + repeat]
    for name in names:
        command += [f"--{name}", getattr(options, name)]
    command += ["--evaluate"] if options.evaluate else []
    quiet = {"TRANSFORMERS_VERBOSITY": "error", "TQDM_DISABLE": "1", "PYTHONWARNINGS": "ignore"}
    text, process = measured(
        list(map(str, command)), env={**os.environ, **quiet, "OMP_NUM_THREADS": str(options.threads)}
    )
    return {**json.loads(text.splitlines()[-1]), **process}


def family(base):
    return json.loads(pathlib.Path(base, "config.json").read_text())["model_type"].split("_")[0]


def targets(base):
    """What is adapted, in packer's names."""
    return ["q", "v", "projection"] if family(base) == "clip" else ["q", "v"]


def report(case, options, runs):
    """Prints the table of one case; what it holds."""
    names = ["images_per_s", "images_per_cpu_s", "peak_mb", "process_wall_s", "process_cpu_s"]
    names += ["balanced_accuracy"] if options.evaluate else []
    middle = {who: {n: statistics.median(r[n] for r in rs) for n in names} for who, rs in runs.items()}
    ratio = {n: middle["packer"][n] / middle["peft"][n] for n in names}
    print(
        f"{case}: {options.repeats} repeats, {options.threads} threads, {options.size} px, batch "
        f"{options.batch}, {options.epochs} epochs, "
        f"rank {options.rank} on {', '.join(targets(options.base))}; median (lowest to highest)"
    )
    print(f"{'':<20}{'packer':>32}{'PyTorch + PEFT':>32}{'ratio':>8}")
    for n in names:
        cells = [
            f"{middle[w][n]:.3f} ({min(r[n] for r in runs[w]):.3f} to {max(r[n] for r in runs[w]):.3f})" for w in runs
        ]
        print(f"{n:<20}{cells[0]:>32}{cells[1]:>32}{ratio[n]:>8.2f}")
    return {"size": options.size, "runs": runs, "median": middle, "ratio": ratio}


def processor():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


# What runs inside the virtual environment.


def make_clip(folder):
    """The vision tower of openai/clip-vit-base-patch16 with its projection, its weights random."""
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection
    import torch

    torch.manual_seed(0)
    CLIPVisionModelWithProjection(CLIPVisionConfig(patch_size=16, projection_dim=512)).save_pretrained(folder)
    processor = {
        "image_processor_type": "CLIPImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": 224},
        "resample": 3,
        "do_center_crop": True,
        "crop_size": {"height": 224, "width": 224},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(processor, indent=2) + "\n")


def peer(options):
    import numpy as np
    import torch
    from peft import LoraConfig, get_peft_model
    from torch import nn
    from transformers import AutoModel, CLIPVisionModelWithProjection

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    random.seed(options.seed)
    classes, training = split(options.data, "train")
    pixels, labels = load(options, training)
    pixels, labels = torch.from_numpy(pixels), torch.tensor(labels)

    kind = family(options.base)
    extra = {"add_pooling_layer": False} if kind == "vit" else {}
    reader = CLIPVisionModelWithProjection if kind == "clip" else AutoModel
    base = reader.from_pretrained(options.base, dtype=torch.float32, **extra)
    resized = {"interpolate_pos_encoding": True} if extra else {}
    modules = [
        {"q": "q_proj", "v": "v_proj", "projection": "visual_projection"}[name] for name in targets(options.base)
    ]
    lora = LoraConfig(r=options.rank, lora_alpha=options.alpha, target_modules=modules, lora_dropout=0.0, bias="none")
    model = get_peft_model(base, lora).train()
    head = nn.Linear(base.config.projection_dim if kind == "clip" else base.config.hidden_size, len(classes))
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    trainable = [p for p in model.parameters() if p.requires_grad] + list(head.parameters())
    optimiser = torch.optim.AdamW(trainable, lr=options.lr, weight_decay=0.01)
    steps = options.epochs * math.ceil(len(labels) / options.batch)
    rise = max(1, 0.1 * steps)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda t: min(1, (t + 1) / rise) * (1 + math.cos(math.pi * t / steps)) / 2
    )

    def logits(batch):
        out = model(pixel_values=batch, **resized)
        return head(out.image_embeds if kind == "clip" else out.last_hidden_state[:, 0])

    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(options.epochs):
        for batch in torch.randperm(len(labels)).split(options.batch):
            x = pixels[batch]
            for axis in (2, 3):
                flip = torch.rand(len(batch)) < 0.5
                x[flip] = x[flip].flip(axis)
            optimiser.zero_grad(set_to_none=True)
            nn.functional.cross_entropy(logits(x), labels[batch]).backward()
            optimiser.step()
            schedule.step()
    seen = options.epochs * len(labels)
    result = {
        "images_per_s": seen / (time.perf_counter() - wall),
        "images_per_cpu_s": seen / (time.process_time() - cpu),
        "seed": options.seed,
    }
    if options.evaluate:
        from sklearn.metrics import balanced_accuracy_score

        pixels, labels = load(options, split(options.data, "test")[1])
        model.eval()
        with torch.no_grad():
            found = np.concatenate(
                [logits(torch.from_numpy(pixels[i : i + 64])).argmax(1).numpy() for i in range(0, len(labels), 64)]
            )
        result["balanced_accuracy"] = balanced_accuracy_score(labels, found)
    return result


def split(data, name):
    """The classes of DATA/splits.csv, and the (path, label) of one split."""
    with open(pathlib.Path(data, "splits.csv"), newline="") as file:
        rows = list(csv.DictReader(file))
    classes = sorted({row["label"] for row in rows})
    return classes, [
        (pathlib.Path(data, row["path"]), classes.index(row["label"])) for row in rows if row["split"] == name
    ]


def load(options, items):
    """Normalised images [N, 3, size, size] and labels: short side to `size`, centre crop, the base's mean and
    standard deviation."""
    import numpy as np
    from PIL import Image

    said = json.loads(pathlib.Path(options.base, "preprocessor_config.json").read_text())
    mean, deviation = (np.array(said[k], np.float32) for k in ("image_mean", "image_std"))
    out = np.empty((len(items), 3, options.size, options.size), np.float32)
    for i, (path, _) in enumerate(items):
        with Image.open(path) as image:
            image = image.convert("RGB")
            short, long = sorted(image.size)
            far = int(options.size * long / short)
            image = image.resize(
                (options.size, far) if image.width <= image.height else (far, options.size), said.get("resample", 3)
            )
            left, top = (image.width - options.size) // 2, (image.height - options.size) // 2
            image = image.crop((left, top, left + options.size, top + options.size))
        out[i] = ((np.asarray(image, np.float32) / 255 - mean) / deviation).transpose(2, 0, 1)
    return out, [label for _, label in items]


if __name__ == "__main__":
    main()
