"""Large bases with random weights: memory and speed of inference and of LoRA training, beside onnxruntime and
PyTorch + PEFT, taking turns, each in a process of its own.

  cargo build --release
  python3 benches/bases.py                              # inference of all, training of vit-l16; long on two cores
  python3 benches/bases.py --only vit-l16 --rounds 3 --steps 1
  python3 benches/bases.py --only uni2-h --what inference --sides packer,onnxruntime

Each base is written once as its library writes it (--work), which needs the network for a virtual environment (--venv).
Inference: one image at a time. Ours is the runtime with a bundle of one module of rank 16 at q and v, with
preprocessing and head; onnxruntime's is the graph that PyTorch exports, in f32, without LoRA; PyTorch's is the
library's own model in f32 with PEFT's adapter. Training: steps of AdamW over --batch images, LoRA of rank 16 at q and
v (in timm's models at all of qkv, which is one layer there); the loop alone is timed. Resident and peak memory are
VmRSS and VmHWM of /proc/PID/status, loading included, and of a training ru_maxrss. Medians, lowest to highest.
"""

import argparse
import csv
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

from peers import Side, environment

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGES = [
    "torch==2.15.0",
    "timm==1.0.31",
    "transformers==5.24.0",
    "peft==0.21.2",
    "onnxruntime==1.32.0",
    "onnx==1.23.2",
    "onnxscript==0.7.2",
    "safetensors==0.8.0",
    "pillow==13.0.0",
    "numpy==2.4.6",
]
MODULES = "torch, timm, transformers, peft, onnxruntime, onnx, onnxscript, safetensors, PIL, numpy"
RANK = 16
# Side of the images, and the type of the weights in the file.
BASES = {
    "vit-l16": (224, "float32"),
    "dinov3-b": (224, "float16"),
    "medsiglip": (448, "float16"),
    "virchow2": (224, "float16"),
    "uni2-h": (224, "float16"),
    "h-optimus-0": (224, "float16"),
}
SIDES = ["packer", "onnxruntime", "pytorch"]


def main():
    options = arguments()
    if options.inside:
        what, *rest = options.inside
        return {"make": make, "graph": graph, "infer": infer, "train": train}[what](options, *rest)
    python = environment(pathlib.Path(options.venv), PACKAGES, MODULES)
    found = {}
    print(
        f"{os.cpu_count()} cores, {processor()}, {options.threads} threads; {', '.join(PACKAGES[:6])}; "
        f"{options.rounds} rounds in turns, {options.repeats} trainings of {options.steps} steps of {options.batch}.\n",
        flush=True,
    )
    for name in options.only or BASES:
        folder = pathlib.Path(options.work) / name
        if not (folder / "config.json").exists():
            inside(options, python, "make", name, folder)
        for what, measure in (("inference", inference), ("training", training)):
            if what in (options.what or ("inference" if name != "vit-l16" else "inference,training")).split(","):
                found[f"{name} {what}"] = measure(options, python, name, folder)
    if options.out:
        pathlib.Path(options.out).write_text(json.dumps(found, indent=2) + "\n")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=BASES, help="one base; may be repeated")
    parser.add_argument(
        "--what", help="inference, training or both, with a comma [default: inference, of vit-l16 both]"
    )
    parser.add_argument("--sides", default=",".join(SIDES))
    parser.add_argument("--rounds", type=int, default=5, help="images that each side sees")
    parser.add_argument("--repeats", type=int, default=3, help="trainings of each side")
    parser.add_argument("--steps", type=int, default=2, help="of each training")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--packer", default=str(ROOT / "target/release/packer"))
    parser.add_argument("--program", help="the bench program runtime_speed, if it is built already")
    parser.add_argument("--venv", default=str(ROOT / "target/bases-venv"))
    parser.add_argument("--work", default=str(ROOT / "target/bases"))
    parser.add_argument("--out", help="what was measured, as JSON")
    parser.add_argument("--inside", nargs="+", help=argparse.SUPPRESS)
    return parser.parse_args()


def inference(options, python, name, folder):
    """Sides answer a line with a line of JSON: the time of one image."""
    side, _ = BASES[name]
    bundle, onnx = folder / "bundle", folder / "graph/graph.onnx"
    commands = {}
    if "packer" in options.sides:
        program = options.program or built()
        if not (bundle / "one.medforge").exists():
            subprocess.run([program, "single", folder, bundle, str(side)], check=True)
        commands["packer"] = [program, "serve", bundle / "one.medforge", bundle / "k.pub", options.threads, side]
    if "onnxruntime" in options.sides:
        if not onnx.exists():
            inside(options, python, "graph", name, folder)
        commands["onnxruntime"] = [*inner(options, python), "infer", name, folder, "onnxruntime"]
    if "pytorch" in options.sides:
        commands["pytorch"] = [*inner(options, python), "infer", name, folder, "pytorch"]
    sides = {who: Side(command) for who, command in commands.items()}
    runs = {who: [] for who in sides}
    for side in sides.values():
        side.ask("one")
    for _ in range(options.rounds):
        for who, side in sides.items():
            # onnxruntime's threads go on spinning for a while after its turn.
            time.sleep(0.05)
            runs[who].append(side.ask("one"))
    memory = {who: side.memory() for who, side in sides.items()}
    print(f"| {name}, inference | ms an image | images/s | CPU ms | load, s | resident MB | peak MB |")
    print("|---|---|---|---|---|---|---|")
    for who, taken in runs.items():
        wall = [1e3 * run["wall"] for run in taken]
        busy = statistics.median(1e3 * run["cpu"] for run in taken)
        print(
            f"| {who} | {spread(wall, 0)} | {1e3 / statistics.median(wall):.2f} | {busy:.0f} "
            f"| {sides[who].first['wall']:.1f} | {memory[who]['VmRSS']:.0f} | {memory[who]['VmHWM']:.0f} |"
        )
    print(flush=True)
    return {who: {"runs": runs[who], "load": sides[who].first, **memory[who]} for who in sides}


def training(options, python, name, folder):
    """Each run is a process that loads the base and makes --steps steps."""
    runs = {who: [] for who in ("packer", "pytorch") if who in options.sides}
    with tempfile.TemporaryDirectory() as scratch:
        data = pathlib.Path(scratch) / "data"
        pictures(data, BASES[name][0], options.steps * options.batch)
        for repeat in range(options.repeats):
            for who in sorted(runs, reverse=repeat % 2 == 1):
                out = pathlib.Path(scratch) / f"{who}-{repeat}"
                if who == "packer":
                    recipe = [
                        "--size",
                        BASES[name][0],
                        "--epochs",
                        1,
                        "--batch",
                        options.batch,
                        "--rank",
                        RANK,
                        "--alpha",
                        RANK,
                    ]
                    recipe += ["--targets", "q,v", "--validation", 0, "--device", "cpu", "--seed", repeat]
                    command = [
                        options.packer,
                        "train",
                        "--base",
                        folder,
                        "--data",
                        data,
                        "--task",
                        "bench",
                        "--out",
                        out,
                    ]
                    _, process = measured([*command, *recipe], RAYON_NUM_THREADS=options.threads)
                    said = json.loads((out / "run.json").read_text())
                    speed = {"wall": said["train_images_per_s"], "cpu": said["train_images_per_cpu_s"]}
                else:
                    text, process = measured([*inner(options, python), "train", name, folder, repeat])
                    speed = json.loads(text.splitlines()[-1])
                runs[who].append({**speed, **process})
                print(f"{name}, {who}: {json.dumps(runs[who][-1])}", file=sys.stderr, flush=True)
    print(f"| {name}, LoRA, batch {options.batch} | images/s | images per CPU-second | peak MB |\n|---|---|---|---|")
    for who, taken in runs.items():
        cells = (
            spread([run[key] for run in taken], digits) for key, digits in (("wall", 3), ("cpu", 3), ("peak_mb", 0))
        )
        print(f"| {who} | {' | '.join(cells)} |")
    print(flush=True)
    return runs


def pictures(folder, side, count):
    """PNG files of noise in two classes, all for training, with the list that packer reads."""
    import random
    import struct
    import zlib

    chance = random.Random(1)
    chunk = lambda kind, body: struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    folder.mkdir(parents=True)
    rows = [("train", number) for number in range(count)] + [("test", number) for number in range(2)]
    with open(folder / "splits.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "group", "split"])
        for split, number in rows:
            lines = b"".join(b"\0" + chance.randbytes(3 * side) for _ in range(side))
            head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
            body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(lines, 1)) + chunk(b"IEND", b"")
            (folder / f"{split}-{number}.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
            writer.writerow([f"{split}-{number}.png", ("benign", "malignant")[number % 2], f"{split}-{number}", split])


def measured(command, **variables):
    """Standard output of a command, and its peak resident memory in MB and times in seconds."""
    begun = time.perf_counter()
    with tempfile.TemporaryFile("w+") as output:
        given = {name: str(value) for name, value in variables.items()}
        process = subprocess.Popen(list(map(str, command)), stdout=output, env={**os.environ, **given})
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"{' '.join(map(str, command))} failed with exit code {process.returncode}")
        output.seek(0)
        whole = {"peak_mb": usage.ru_maxrss / 1024, "process_wall_s": time.perf_counter() - begun}
        return output.read(), whole


def spread(values, digits):
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def inner(options, python):
    """This script inside the virtual environment; what it is to do follows."""
    return [
        python,
        __file__,
        "--batch",
        options.batch,
        "--steps",
        options.steps,
        "--threads",
        options.threads,
        "--inside",
    ]


def inside(options, python, *what):
    subprocess.run(list(map(str, [*inner(options, python), *what])), check=True, stdout=sys.stderr)


def built():
    """The bench program."""
    command = ["cargo", "bench", "--workspace", "--bench", "runtime_speed", "--no-run", "--message-format", "json"]
    lines = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    messages = [message for message in map(json.loads, lines) if message.get("executable")]
    return next(message["executable"] for message in messages if message["target"]["name"] == "runtime_speed")


def processor():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines() if pathlib.Path("/proc/cpuinfo").exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


# What runs inside the virtual environment.


def new(name):
    """The model with random weights, as its users make it."""
    import timm
    import transformers
    from timm.layers import SwiGLUPacked
    from torch import nn

    packed = dict(mlp_layer=SwiGLUPacked, act_layer=nn.SiLU, init_values=1e-5, num_classes=0, img_size=224)
    if name == "uni2-h":
        shape = dict(embed_dim=1536, depth=24, num_heads=24, mlp_ratio=2.66667 * 2, reg_tokens=8, no_embed_class=True)
        return timm.create_model("vit_giant_patch14_224", patch_size=14, dynamic_img_size=True, **shape, **packed)
    if name == "virchow2":
        shape = dict(mlp_ratio=5.3375, reg_tokens=4, global_pool="")
        return timm.create_model("vit_huge_patch14_224", dynamic_img_size=True, **shape, **packed)
    if name == "h-optimus-0":
        return timm.create_model("vit_giant_patch14_reg4_dinov2", init_values=1e-5, num_classes=0, img_size=224)
    if name == "dinov3-b":
        shape = dict(hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072)
        return transformers.DINOv3ViTModel(transformers.DINOv3ViTConfig(num_register_tokens=4, **shape))
    if name == "medsiglip":
        shape = dict(hidden_size=1152, num_hidden_layers=27, num_attention_heads=16, intermediate_size=4304)
        return transformers.SiglipVisionModel(transformers.SiglipVisionConfig(image_size=448, patch_size=14, **shape))
    shape = dict(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096)
    return transformers.ViTModel(transformers.ViTConfig(**shape), add_pooling_layer=False)


def make(options, name, folder):
    import timm
    import torch

    torch.manual_seed(0)
    folder, (side, kind) = pathlib.Path(folder), BASES[name]
    model = new(name).to(getattr(torch, kind))
    if hasattr(model, "save_pretrained"):
        model.save_pretrained(folder)
        processors = {"medsiglip": "SiglipImageProcessor", "dinov3-b": "DINOv3ViTImageProcessor"}
        said = {
            "image_processor_type": processors.get(name, "ViTImageProcessor"),
            "size": {"height": side, "width": side},
        }
        said |= {"resample": 3, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
        (folder / "preprocessor_config.json").write_text(json.dumps(said))
        return
    # JSON cannot hold the classes of SwiGLU and SiLU, which timm's users pass in code.
    classes = {key: None for key, value in model._model_args.items() if callable(value)}
    settings = {"pretrained_cfg": {"crop_pct": 1.0}}
    timm.models.save_for_hf(model, folder, safe_serialization=True, model_config=settings, model_args=classes)
    path = folder / "config.json"
    said = json.loads(path.read_text())
    said["model_args"] = {key: value for key, value in said["model_args"].items() if key not in classes}
    path.write_text(json.dumps(said, indent=1))


def opened(name, folder):
    """The model of a folder in f32, and its feature as a function of pixels."""
    import torch
    import transformers
    from safetensors.torch import load_model

    if name in ("dinov3-b", "medsiglip", "vit-l16"):
        kinds = {"dinov3-b": transformers.DINOv3ViTModel, "medsiglip": transformers.SiglipVisionModel}
        extra = {"add_pooling_layer": False} if name == "vit-l16" else {}
        model = kinds.get(name, transformers.ViTModel).from_pretrained(folder, dtype=torch.float32, **extra)
        if name == "medsiglip":
            return model.eval(), lambda model, pixels: model(pixel_values=pixels).pooler_output
        return model.eval(), lambda model, pixels: model(pixel_values=pixels).last_hidden_state[:, 0]
    with torch.device("meta"):
        model = new(name)
    model = model.to_empty(device="cpu")
    load_model(model, pathlib.Path(folder) / "model.safetensors")
    return model.float().eval(), lambda model, pixels: model.forward_features(pixels)[:, 0]


def adapted(name, model):
    from peft import LoraConfig, get_peft_model

    sites = {
        "dinov3-b": r".*(q_proj|v_proj)",
        "medsiglip": r"encoder\..*(q_proj|v_proj)",
        "vit-l16": r".*(q_proj|v_proj)",
    }
    config = LoraConfig(r=RANK, lora_alpha=RANK, target_modules=sites.get(name, r"blocks\..*qkv"))
    return get_peft_model(model, config)


def graph(options, name, folder):
    """Weights beside the graph: a file of protobuf ends at 2 GiB."""
    import torch
    from torch import nn

    model, feature = opened(name, folder)

    class Feature(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, pixels):
            return feature(self.model, pixels)

    place = pathlib.Path(folder) / "graph"
    place.mkdir(exist_ok=True)
    pixels = torch.zeros(1, 3, BASES[name][0], BASES[name][0])
    with torch.no_grad():
        torch.onnx.export(
            Feature().eval(),
            (pixels,),
            place / "graph.onnx",
            input_names=["pixels"],
            output_names=["feature"],
            dynamo=True,
            external_data=True,
        )


def timed(work):
    wall, busy = time.perf_counter(), time.process_time()
    work()
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - busy}


def infer(options, name, folder, who):
    import numpy

    side, kept = BASES[name][0], []
    pixels = numpy.random.default_rng(0).normal(size=(1, 3, side, side)).astype(numpy.float32)

    def onnx_session():
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = options.threads
        path = pathlib.Path(folder) / "graph/graph.onnx"
        session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
        kept.append(lambda: session.run(None, {"pixels": pixels}))

    def torch_model():
        import torch

        torch.set_num_threads(options.threads)
        model, feature = opened(name, folder)
        model = adapted(name, model).eval()
        tensor = torch.from_numpy(pixels)

        def run():
            with torch.inference_mode():
                feature(model.base_model.model, tensor)

        kept.append(run)

    # The libraries' own loading is not timed, as ours is not.
    if who == "pytorch":
        import peft  # noqa: F401
        import timm  # noqa: F401
        import transformers  # noqa: F401
    first = timed(onnx_session if who == "onnxruntime" else torch_model)
    print(json.dumps(first), flush=True)
    for _ in sys.stdin:
        print(json.dumps(timed(kept[0])), flush=True)


def train(options, name, folder, seed):
    import torch
    from torch import nn

    torch.set_num_threads(options.threads)
    torch.manual_seed(int(seed))
    side = BASES[name][0]
    model, feature = opened(name, folder)
    model = adapted(name, model).train()
    head = None
    pixels = torch.randn(options.steps * options.batch, 3, side, side)
    labels = torch.arange(len(pixels)) % 2
    with torch.no_grad():
        head = nn.Linear(feature(model.base_model.model, pixels[:1]).shape[1], 2)
    trainable = [p for p in model.parameters() if p.requires_grad] + list(head.parameters())
    optimiser = torch.optim.AdamW(trainable, lr=1e-3, weight_decay=0.01)

    def loop():
        for batch in torch.randperm(len(labels)).split(options.batch):
            optimiser.zero_grad(set_to_none=True)
            loss = nn.functional.cross_entropy(head(feature(model.base_model.model, pixels[batch])), labels[batch])
            loss.backward()
            optimiser.step()

    taken = timed(loop)
    print(json.dumps({key: len(labels) / seconds for key, seconds in taken.items()}))


if __name__ == "__main__":
    main()
