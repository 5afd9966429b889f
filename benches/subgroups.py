#!/usr/bin/env python3
"""How modules do on parts of each task's test split that differ in something but their class: `packer eval
--by` on the four tasks.

  cargo build --release
  python3 benches/subgroups.py --base BASE --data DATA --modules MODULES      # MODULES/TASK from `packer train`

The sets' lists have no column but label and group, so columns are made from what is there:
  brightness  the mean grey level: dark, middle or bright, by the thirds of the training part
  stain       tissue only, the mean of red minus that of blue: blue, middle or red, by the thirds of the training part
  release     chest only, the part of the collection that the image was published in, which its file's name begins with
None of them was known to the training. Copies of the sets with these columns go to --scratch; prints a table
in Markdown.

Needs Python 3.11 or later and Pillow (benches/training.py makes a virtual environment that has it).
"""

import argparse
import csv
import json
import pathlib
import shutil
import statistics
import subprocess

from PIL import Image, ImageStat

TASKS = {
    "breast": ["brightness", "stain"],
    "lung": ["brightness", "stain"],
    "colon": ["brightness", "stain"],
    "chest": ["brightness", "release"],
}
NAMES = {"brightness": ["dark", "middle", "bright"], "stain": ["blue", "middle", "red"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packer", default="target/release/packer")
    parser.add_argument("--base", required=True)
    parser.add_argument("--data", required=True, type=pathlib.Path, help="a folder of data sets, one for each task")
    parser.add_argument("--modules", required=True, type=pathlib.Path)
    parser.add_argument("--scratch", type=pathlib.Path, default="target/subgroups")
    options = parser.parse_args()
    print("| task | by | value | images (patients) | balanced accuracy | AUC |\n|---|---|---|---|---|---|")
    gaps = []
    for task, columns in TASKS.items():
        data = with_columns(options.data / task, columns, options.scratch / task)
        arguments = ["eval", "--base", options.base, "--module", options.modules / task, "--data", data, "--json"]
        arguments += [word for column in columns for word in ("--by", column)]
        done = subprocess.run([options.packer, *map(str, arguments)], check=True, capture_output=True, text=True)
        found = json.loads(done.stdout)
        whole = {metric["name"]: estimate(metric) for metric in found["metrics"]}
        print(
            f"| {task} | | all | {found['n']} ({found['groups']}) | {whole['balanced_accuracy']} | {whole['auc']} |"
        )
        for part in found["subgroups"]:
            for value in part["values"]:
                of = {metric["name"]: estimate(metric) for metric in value["metrics"]}
                cells = f"{of['balanced_accuracy']} | {of['auc']}" if of else f"none: {value['too_few']} |"
                classes = (
                    ""
                    if value["classes"] == len(found["classes"])
                    else f", {value['classes']} of {len(found['classes'])} classes"
                )
                print(
                    f"| {task} | {part['by']} | {value['value']} | {value['n']} ({value['groups']}){classes} | "
                    f"{cells} |"
                )
            gaps += [(task, part["by"], gap) for gap in part["gaps"]]
    print(
        "\n| task | by | metric | best over worst | gap | chance alone, up to | more than chance "
        "|\n|---|---|---|---|---|---|---|"
    )
    for task, by, gap in gaps:
        value, chance = gap["difference"]["value"], gap.get("chance")
        verdict = "unknown" if chance is None else "yes" if value > chance else "no"
        print(
            f"| {task} | {by} | {gap['difference']['name'].replace('_', ' ')} | {gap['best']} over {gap['worst']} "
            f"| {estimate(gap['difference'])} | {'' if chance is None else f'{chance:.3f}'} | {verdict} |"
        )


def estimate(metric):
    return (
        f"{metric['value']:.3f} ({metric['low']:.3f} to {metric['high']:.3f})"
        if "low" in metric
        else f"{metric['value']:.3f}"
    )


def with_columns(data, columns, copy):
    """A copy of a data set whose list has `columns` too."""
    with open(data / "splits.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        with Image.open(data / row["path"]) as image:
            red, _, blue = ImageStat.Stat(image.convert("RGB")).mean
            row |= {"brightness": ImageStat.Stat(image.convert("L")).mean[0], "stain": red - blue}
        row["release"] = pathlib.Path(row["path"]).name.split("__")[0]
        (copy / row["path"]).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(data / row["path"], copy / row["path"])
    for column, names in NAMES.items():
        low, high = statistics.quantiles([row[column] for row in rows if row["split"] == "train"], n=3)
        for row in rows:
            row[column] = names[(row[column] > low) + (row[column] > high)]
    with open(copy / "splits.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, ["path", "label", "group", "split", *columns], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return copy


if __name__ == "__main__":
    main()
