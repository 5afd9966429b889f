"""The same modules merged by PEFT's `add_weighted_adapter`, for the benchmark `merging` to judge beside
packer's own merges; and how far each merged delta is from exact delta arithmetic, PEFT's and packer's.

  cargo build --release
  python3 benches/merging_peft.py --base BASE --modules MODULES --out OUT      # MODULES/SEED/TASK are modules of packer

Needs Python 3.11 or later and the network once: PyTorch, transformers and PEFT go by pip into a scratch
virtual environment (--venv, default target/peer-venv). Writes OUT/SEED/peft-METHOD-COUNT, a merge of the
first COUNT tasks (three, and all) with weight 1 each; head and card are those of the first task's module, so
that packer opens the folder. What is there already stays. Prints, per merge, the largest difference of a
number of any site's delta from the sum of the modules' deltas in double precision; exit code 1 if that of
packer's `task-arithmetic` is over 1e-5.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys

import training
from peers import environment

# Densities are those of packer's defaults: 0.2 where TIES trims, 0.1 for DARE.
METHODS = {
    "linear": {},
    "cat": {},
    "svd": {},
    "ties": {"density": 0.2},
    "dare_linear": {"density": 0.1},
    "dare_ties": {"density": 0.1},
}
ALLOWED = 1e-5


def main():
    options = arguments()
    if not options.inside:
        python = environment(pathlib.Path(options.venv), training.PACKAGES, training.MODULES)
        quiet = {"TRANSFORMERS_VERBOSITY": "error", "TQDM_DISABLE": "1", "PYTHONWARNINGS": "ignore"}
        command = [python, __file__, "--inside", *sys.argv[1:]]
        sys.exit(subprocess.run(command, env={**os.environ, **quiet}).returncode)
    tasks, out = options.tasks.split(","), pathlib.Path(options.out)
    print("| seed | tasks | merge | largest difference from exact delta arithmetic |\n|---|---|---|---|")
    worst = 0.0
    for seed in options.seeds.split(","):
        folders = [pathlib.Path(options.modules) / seed / task for task in tasks]
        for count in sorted({min(3, len(tasks)), len(tasks)}):
            modules = folders[:count]
            exact = sum_of(modules)
            for method, more in METHODS.items():
                folder = out / seed / f"peft-{method}-{count}"
                if not folder.exists():
                    merge(options.base, modules, method, int(seed), more, folder)
                if method in ("linear", "cat", "svd"):
                    print(f"| {seed} | {count} | PEFT {method} | {distance(folder, exact):.1e} |", flush=True)
            own = out / seed / f"packer-task-arithmetic-{count}.tmp"
            command = [
                options.packer,
                "merge",
                "--base",
                options.base,
                "--method",
                "task-arithmetic",
                "--out",
                own,
                "--force",
            ]
            for module in modules:
                command += ["--module", module]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            worst = max(worst, distance(own, exact))
            print(f"| {seed} | {count} | packer task-arithmetic | {distance(own, exact):.1e} |", flush=True)
            shutil.rmtree(own)
    if worst > ALLOWED:
        sys.exit(f"packer's task-arithmetic is {worst:.1e} from exact delta arithmetic, more than {ALLOWED:.0e}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", required=True)
    parser.add_argument("--modules", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--tasks", default="breast,lung,colon,chest")
    parser.add_argument("--packer", default=str(training.ROOT / "target/release/packer"))
    parser.add_argument("--venv", default=str(training.ROOT / "target/peer-venv"))
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def merge(base, modules, method, seed, more, folder):
    """PEFT's merge of `modules`, weight 1 each, written beside and renamed to `folder`."""
    import torch
    from peft import PeftModel
    from transformers import AutoModel

    torch.manual_seed(seed)
    model = AutoModel.from_pretrained(base, dtype=torch.float32)
    names = [module.name for module in modules]
    model = PeftModel.from_pretrained(model, modules[0], adapter_name=names[0])
    for name, module in zip(names[1:], modules[1:]):
        model.load_adapter(module, adapter_name=name)
    with torch.no_grad():
        model.add_weighted_adapter(names, [1.0] * len(names), "merged", combination_type=method, **more)
    scratch = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(scratch, ignore_errors=True)
    model.save_pretrained(scratch, selected_adapters=["merged"])
    for file in (scratch / "merged").iterdir():
        file.rename(scratch / file.name)
    (scratch / "merged").rmdir()
    for name in ["head.safetensors", "module.json"]:
        shutil.copy(modules[0] / name, scratch / name)
    scratch.rename(folder)


def deltas(folder):
    """By site alpha/rank * B * A, in double precision."""
    from safetensors.numpy import load_file

    config = json.loads((folder / "adapter_config.json").read_text())
    factors = load_file(folder / "adapter_model.safetensors")
    scale = config["lora_alpha"] / config["r"]
    site = lambda name: name.split(".lora_A")[0].removeprefix("base_model.model.")
    return {
        site(name): scale * factors[name.replace("lora_A", "lora_B")].astype("float64") @ a.astype("float64")
        for name, a in factors.items()
        if ".lora_A" in name
    }


def sum_of(modules):
    total = {}
    for module in modules:
        for site, delta in deltas(module).items():
            total[site] = total.get(site, 0.0) + delta
    return total


def distance(folder, exact):
    found = deltas(folder)
    assert found.keys() == exact.keys(), f"{folder} has other sites"
    return max(abs(found[site] - delta).max() for site, delta in exact.items())


if __name__ == "__main__":
    main()
