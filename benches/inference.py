"""Measures the runtime (tract) beside onnxruntime: one thread, one image at a time, the same base and module.

    python benches/inference.py PACKER BASE MODULE IMAGE

PACKER is the binary, BASE a Hugging Face folder, MODULE a folder that `packer train` wrote, IMAGE any picture. Needs
numpy and onnxruntime. Both sides start cold in turns, five times; printed are the median and the range. The runtime's
time for an image is the difference between classifying it 40 and 8 times, so it includes reading, resizing and
normalising; onnxruntime's is the network alone. Loading includes verification and golden vectors on our side.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS, FEW, MANY = 5, 8, 40

PEER = """
import resource, sys, time
import numpy as np, onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
start = time.perf_counter()
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
load = time.perf_counter() - start
sites, rank = set(sys.argv[3].split(",")), int(sys.argv[2])
inputs = {}
for input in session.get_inputs():
    side = rank if input.name.rsplit(".", 1)[0] in sites else 0
    shape = [1 if size == "N" else side if isinstance(size, str) else size for size in input.shape]
    inputs[input.name] = np.random.default_rng(0).normal(size=shape).astype(np.float32) * 0.05
session.run(None, inputs)
times = []
for _ in range(20):
    start = time.perf_counter()
    session.run(None, inputs)
    times.append(time.perf_counter() - start)
print(load, sorted(times)[10], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def main():
    packer, base, module, image = sys.argv[1:5]
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        run = lambda *a: subprocess.run([packer, *map(str, a)], check=True, stdout=subprocess.PIPE, text=True).stdout
        run("keygen", "--out", place / "k")
        run("bundle", "--base", base, "--module", module, "--key", place / "k.key", "--out", place / "b.medforge")
        manifest = json.loads(run("inspect", place / "b.medforge", "--json"))["manifest"]
        size = manifest["base"]["image_size"][0]
        run("export-onnx", "--base", base, "--size", size, "--out", place / "base.onnx")
        stated = manifest["modules"][0]

        def ours(images):
            command = [packer, "classify", place / "b.medforge", "--trust", place / "k.pub", "--threads", "1"]
            start = time.perf_counter()
            child = subprocess.Popen(command + [image] * images, stdout=subprocess.DEVNULL)
            _, status, usage = os.wait4(child.pid, 0)
            if status:
                sys.exit("packer classify failed")
            return time.perf_counter() - start, usage.ru_maxrss / 1024

        rows = []
        for _ in range(ROUNDS):
            (few, _), (many, peak) = ours(FEW), ours(MANY)
            each = (many - few) / (MANY - FEW)
            command = [sys.executable, "-c", PEER, place / "base.onnx", str(stated["rank"]), ",".join(stated["sites"])]
            peer = [float(v) for v in subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()]
            rows.append((few - FEW * each, each, peak, *peer))
    columns = list(zip(*rows))
    show = lambda v, unit, by: f"{by * statistics.median(v):.0f} {unit} ({by * min(v):.0f} to {by * max(v):.0f})"
    print(f"{size} x {size} pixels, rank {stated['rank']} at {len(stated['sites'])} sites, one thread, {ROUNDS} rounds")
    for who, (load, each, peak) in (("packer classify", columns[:3]), ("onnxruntime", columns[3:])):
        print(f"{who:16} load {show(load, 'ms', 1e3):26} image {show(each, 'ms', 1e3):26} peak {show(peak, 'MB', 1)}")


main()
