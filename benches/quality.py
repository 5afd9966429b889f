#!/usr/bin/env python3
"""Trains and evaluates modules for several tasks and seeds with the default recipe, and prints what they
reach on the test splits: per task the balanced accuracy of each seed with its interval, their mean and
standard deviation, and the floors.

  python3 benches/quality.py --packer target/release/packer --base vits14 --data data --tasks breast,lung,colon,chest

Needs nothing but Python and packer. Results go to --out as JSON, one entry a run, and finished runs are not
repeated."""

import argparse
import json
import pathlib
import statistics
import subprocess


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packer", default="target/release/packer")
    parser.add_argument("--base", required=True)
    parser.add_argument("--data", required=True, help="a folder of data sets, one for each task")
    parser.add_argument("--tasks", default="breast,lung,colon,chest")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--size", default="112")
    parser.add_argument("--epochs", default="8")
    parser.add_argument("--modules", default="target/quality", help="where the modules go")
    parser.add_argument("--out", default="target/quality.json")
    parser.add_argument("more", nargs="*", help="further options for packer train, after --")
    arguments = parser.parse_args()
    out = pathlib.Path(arguments.out)
    runs = json.loads(out.read_text()) if out.exists() else {}
    tasks, seeds = arguments.tasks.split(","), arguments.seeds.split(",")
    for task in tasks:
        for seed in seeds:
            if f"{task} {seed}" not in runs:
                runs[f"{task} {seed}"] = run(arguments, task, seed)
                out.parent.mkdir(parents=True, exist_ok=True)
                out.write_text(json.dumps(runs, indent=1))
    print("| task | colour only | linear probe | seeds " + " ".join(seeds) + " | mean (sd) | AUC mean | images/s |")
    print("|---|---|---|---|---|---|---|")
    for task in tasks:
        row(task, [runs[f"{task} {seed}"] for seed in seeds])


def run(arguments, task, seed):
    module = pathlib.Path(arguments.modules) / f"{task}-{seed}"
    data = pathlib.Path(arguments.data) / task
    train = [
        "train",
        "--base",
        arguments.base,
        "--data",
        data,
        "--task",
        task,
        "--out",
        module,
        "--size",
        arguments.size,
    ]
    train += ["--flips", "both", "--epochs", arguments.epochs, "--seed", seed, "--force", *arguments.more]
    subprocess.run([arguments.packer, *map(str, train)], check=True)
    evaluate = ["eval", "--base", arguments.base, "--module", module, "--data", data, "--json", "--record"]
    result = subprocess.run([arguments.packer, *map(str, evaluate)], check=True, capture_output=True, text=True)
    speed = json.loads((module / "run.json").read_text())
    return {
        "evaluation": json.loads(result.stdout),
        "images_per_s": speed["train_images_per_s"],
        "images_per_cpu_s": speed["train_images_per_cpu_s"],
    }


def row(task, runs):
    def metric(entry, name):
        return next(m for m in entry["metrics"] if m["name"] == name)

    balanced = [metric(r["evaluation"], "balanced_accuracy") for r in runs]
    floors = {f["name"]: metric(f, "balanced_accuracy")["value"] for f in runs[0]["evaluation"]["floors"]}
    values = [b["value"] for b in balanced]
    spread = statistics.stdev(values) if len(values) > 1 else float("nan")
    cells = " ".join(f"{b['value']:.3f} ({b['low']:.3f} to {b['high']:.3f})" for b in balanced)
    auc = statistics.mean(metric(r["evaluation"], "auc")["value"] for r in runs)
    speed = statistics.median(r["images_per_s"] for r in runs)
    print(
        f"| {task} | {floors['colour']:.3f} | {floors['linear_probe']:.3f} | {cells} "
        f"| {statistics.mean(values):.3f} ({spread:.3f}) | {auc:.3f} | {speed:.1f} |"
    )


if __name__ == "__main__":
    main()
