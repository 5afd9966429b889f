"""The runtime beside onnxruntime: the same base, the same LoRA inputs, one machine, taking turns.

  python3 benches/runtime.py                          # ViT-B/16 with random weights
  python3 benches/runtime.py --base b16-f16           # the same, in weights that f16 holds: kept in 16 bits
  python3 benches/runtime.py --base vits14            # a Hugging Face folder, at 224 pixels

Builds the bench program, makes bundles of sixteen modules (rank 16 at q and v) and the graph as an ONNX file,
and installs onnxruntime by pip into a scratch virtual environment (--venv), which needs the network once.
Prints tables: wall and processor time, medians of --rounds (lowest to highest). Ours includes preprocessing
of a picture of the base's size and the head; onnxruntime's is the network alone.
"""

import argparse
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
PACKAGES = ["onnxruntime==1.32.0", "onnx", "numpy"]
MODULES = "onnxruntime, onnx, numpy"
RANK = 16


def main():
    options = arguments()
    python = environment(pathlib.Path(options.venv), PACKAGES, MODULES)
    if options.peer:
        return peer(*options.peer)
    program = built()
    with tempfile.TemporaryDirectory() as place:
        subprocess.run([program, "make", options.base, place], check=True)
        print(
            f"Base: {options.base}, 224 pixels, modules of rank {RANK} at q and v; {os.cpu_count()} cores, {cpu()}; "
            f"onnxruntime {PACKAGES[0].split('==')[1]}; {options.rounds} rounds in turns.\n",
            flush=True,
        )
        for threads in (1, 2):
            table(options, program, python, place, threads)
        loading(options, program, python, place)
        if options.many:
            longest(options, program, place)


def table(options, program, python, place, threads):
    ours = Side([program, "serve", f"{place}/all.medforge", f"{place}/k.pub", threads])
    last = Side([program, "serve", f"{place}/last.medforge", f"{place}/k.pub", threads])
    eight = Side([program, "serve", f"{place}/one.medforge", f"{place}/k.pub", threads, "int8"])
    theirs = Side([python, __file__, "--peer", place, threads])
    turns = {
        "none": (ours, "none"),
        "one": (ours, "one"),
        "fusion of 4": (ours, "fusion 4"),
        "mixture of 4": (ours, "mixture 4"),
        "one, last 4 layers": (last, "one"),
        "mixture of 4, last 4 layers": (last, "mixture 4"),
        "one, int8": (eight, "one"),
        "onnxruntime, none": (theirs, "none"),
        "onnxruntime, one": (theirs, "one"),
        "onnxruntime, 4 runs": (theirs, "four"),
        "onnxruntime, int8": (theirs, "int8"),
    }
    taken = {name: [] for name in turns}
    for side, what in turns.values():
        side.ask(what)
    # Asked before other classifiers are made in the same process.
    memory = ours.ask("memory")
    for _ in range(options.rounds):
        for name, (side, what) in turns.items():
            # A peer's threads go on spinning for a while after its turn.
            time.sleep(0.05)
            taken[name].append(side.ask(what))
    middle = {name: statistics.median(run["wall"] for run in runs) for name, runs in taken.items()}
    print(f"| {threads} thread{'s' * (threads > 1)} | ms (lowest to highest) | CPU ms |\n|---|---|---|")
    for name, runs in taken.items():
        wall = sorted(1e3 * run["wall"] for run in runs)
        busy = statistics.median(1e3 * run["cpu"] for run in runs)
        print(f"| {name} | {statistics.median(wall):.1f} ({wall[0]:.1f} to {wall[-1]:.1f}) | {busy:.1f} |")
    ratio = lambda a, b, aim: print(f"| {a} / {b} | {ratios(taken[a], taken[b])} | {aim} |")
    print("\n| ratio | of the medians; of each turn, median (lowest to highest) | aim |\n|---|---|---|")
    ratio("one", "onnxruntime, one", "1.0")
    ratio("none", "onnxruntime, none", "1.0")
    ratio("one", "none", "1.05")
    ratio("fusion of 4", "one", "1.1")
    ratio("mixture of 4, last 4 layers", "one, last 4 layers", "2.2")
    ratio("mixture of 4, last 4 layers", "onnxruntime, 4 runs", "-")
    ratio("one, int8", "one", "0.5")
    ratio("onnxruntime, int8", "onnxruntime, one", "-")
    share = statistics.median(run["preprocessing"] / run["wall"] for run in taken["one"])
    print(f"\nPreprocessing is {100 * share:.2f} % of a classification (aim: under 5 %).")
    for spread in ("layers", "images"):
        run = ours.ask(f"batch {spread} 16")
        print(
            f"\n16 images in one call, threads share {spread}: {1e3 * run['wall'] / 16:.1f} ms an image, "
            f"{1e3 * run['cpu'] / 16:.1f} CPU ms."
        )
    swap = ours.ask("swap 20000")
    print(
        f"\n20,000 swaps of the default while another thread classifies ({swap['calls']} calls, "
        f"{swap['failed']} failed): median {1e6 * swap['median']:.1f} us, "
        f"99th percentile {1e6 * swap['p99']:.1f} us, longest {1e3 * swap['most']:.2f} ms. onnxruntime: a new adapter "
        f"{1e3 * theirs.ask('adapter')['wall']:.2f} ms (median of 9), a new session "
        f"{1e3 * theirs.ask('session')['wall']:.0f} ms."
    )
    each = memory["modules"] / 16
    aim = 1.25 * (memory["base"] + 16 * 2.5e6)
    print(
        f"\nMemory with 16 modules: base {memory['base'] / 1e6:.1f} MB, modules {memory['modules'] / 1e6:.1f} "
        f"MB ({each / 1e6:.2f} each), scratch {memory['scratch'] / 1e6:.1f} MB; "
        f"resident {memory['resident'] / 1e6:.0f} MB (aim: (base + 16 x 2.5 MB) x 1.25 = {aim / 1e6:.0f} MB); "
        f"onnxruntime's process with one session "
        f"{Side([python, __file__, '--peer', place, threads, 'load']).first['resident'] / 1e6:.0f} MB.\n",
        flush=True,
    )


def loading(options, program, python, place):
    """Both start anew in turns: a bundle of one module, read, verified, loaded and checked; a session."""
    for threads in (1, 2):
        ours, theirs = [], []
        for _ in range(options.rounds):
            ours.append(Side([program, "serve", f"{place}/one.medforge", f"{place}/k.pub", threads]).first)
            theirs.append(Side([python, __file__, "--peer", place, threads, "load"]).first)
        print(
            f"| load, {threads} thread{'s' * (threads > 1)} | ms (lowest to highest) | resident MB |\n|---|---|---|"
        )
        for name, runs in (("ours, with golden vectors", ours), ("onnxruntime, session", theirs)):
            wall = sorted(1e3 * run["wall"] for run in runs)
            print(
                f"| {name} | {statistics.median(wall):.0f} ({wall[0]:.0f} to {wall[-1]:.0f}) | "
                f"{statistics.median(run['resident'] for run in runs) / 1e6:.0f} |"
            )
        part = lambda name: f"{1e3 * statistics.median(run[name] for run in ours):.0f}"
        print(
            f"\nLoad, ratio: {ratios(ours, theirs)}; aim 1.0. Of ours, reading the file takes {part('read')} "
            f"ms and verifying it {part('verify')} ms.\n",
            flush=True,
        )


def longest(options, program, place):
    many = Side([program, "serve", f"{place}/one.medforge", f"{place}/k.pub", 2]).ask(f"many {options.many}")
    print(
        f"{options.many} classifications in a row: resident {many['before'] / 1e6:.2f} MB before, "
        f"{many['after'] / 1e6:.2f} MB after."
    )


def ratios(ours, theirs):
    each = sorted(a["wall"] / b["wall"] for a, b in zip(ours, theirs))
    whole = statistics.median(a["wall"] for a in ours) / statistics.median(b["wall"] for b in theirs)
    return f"{whole:.3f}; {statistics.median(each):.3f} ({each[0]:.3f} to {each[-1]:.3f})"


def peer(place, threads, only=None):
    """onnxruntime's half, in the virtual environment."""
    import numpy
    import onnxruntime

    def session(file="base.onnx"):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(threads)
        return onnxruntime.InferenceSession(f"{place}/{file}", options, providers=["CPUExecutionProvider"])

    def resident():
        return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def timed(work):
        wall, busy = time.perf_counter(), time.process_time()
        work()
        return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - busy}

    kept = []
    first = timed(lambda: kept.append(session()))
    print(json.dumps({**first, "resident": resident()}), flush=True)
    if only == "load":
        return
    plain = kept[0]
    generator = numpy.random.default_rng(0)
    inputs = {"none": {}, "one": {}}
    for input in plain.get_inputs():
        for name, rank in (("none", 0), ("one", RANK if ".q." in input.name or ".v." in input.name else 0)):
            shape = [1 if size == "N" else rank if isinstance(size, str) else size for size in input.shape]
            inputs[name][input.name] = (generator.normal(size=shape) * 0.05).astype(numpy.float32)
    adapter = f"{place}/adapter.onnx_adapter"
    format = onnxruntime.AdapterFormat()
    lora = {
        name: onnxruntime.OrtValue.ortvalue_from_numpy(value)
        for name, value in inputs["one"].items()
        if ".lora_" in name and value.size
    }
    format.set_adapter_version(1)
    format.set_model_version(1)
    format.set_parameters(lora)
    format.export_adapter(adapter)
    small = None
    for line in sys.stdin:
        what = line.strip()
        if what == "int8":
            if small is None:
                from onnxruntime.quantization import QuantType, quantize_dynamic

                file = pathlib.Path(place) / "int8.onnx"
                if not file.exists():
                    quantize_dynamic(f"{place}/base.onnx", str(file), per_channel=True, weight_type=QuantType.QInt8)
                small = session("int8.onnx")
            result = timed(lambda: small.run(None, inputs["one"]))
        elif what == "four":
            result = timed(lambda: [plain.run(None, inputs["one"]) for _ in range(4)])
        elif what == "adapter":
            runs = sorted(
                (timed(lambda: onnxruntime.LoraAdapter().Load(adapter)) for _ in range(9)),
                key=lambda run: run["wall"],
            )
            result = runs[4]
        elif what == "session":
            result = timed(session)
        else:
            result = timed(lambda: plain.run(None, inputs[what]))
        print(json.dumps(result), flush=True)


def built():
    """The bench program."""
    command = ["cargo", "bench", "--workspace", "--bench", "runtime_speed", "--no-run", "--message-format", "json"]
    lines = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    messages = [message for message in map(json.loads, lines) if message.get("executable")]
    return next(message["executable"] for message in messages if message["target"]["name"] == "runtime_speed")


def cpu():
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines() if pathlib.Path("/proc/cpuinfo").exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--base", default="b16", help="b16 for ViT-B/16 with random weights, or a Hugging Face folder"
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--many", type=int, default=10_000)
    parser.add_argument("--venv", default=str(ROOT / "target/runtime-venv"))
    parser.add_argument("--peer", nargs="+", help=argparse.SUPPRESS)
    return parser.parse_args()


main()
