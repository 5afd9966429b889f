"""Reads a whole archive again: every image of a folder classified exactly once, on as many machines as a Ray
cluster has.

  pip install ray pyarrow    # and libmedforge with ffi/python/medforge.py on every machine
  python3 reread.py ARCHIVE --out results --bundle breast.medforge --trust k.pub --library libmedforge.so --workers 8
  python3 reread.py ARCHIVE --out results ... --address ray://head:10001

ARCHIVE is a folder that every machine sees (also one mounted from object storage) of PNG, JPEG and DICOM
files. One actor a worker holds one verified bundle; images go out in batches. A batch's results are one
Parquet file, written beside and renamed, so that a run that was stopped goes on where it was and no image is
there twice; a worker that dies is replaced and its batch done again. What cannot be classified is a row too,
with the reason. Results of one folder are of one bundle: a run with another one is refused.
"""

import argparse
import hashlib
import json
import os
import pathlib
import sys

import pyarrow
import pyarrow.parquet
import ray

ENDINGS = {".png", ".jpg", ".jpeg", ".dcm", ".dicom", ""}
SCHEMA = pyarrow.schema(
    [
        ("path", pyarrow.string()),
        ("task", pyarrow.string()),
        ("class", pyarrow.string()),
        ("probability", pyarrow.float64()),
        ("error", pyarrow.string()),
        ("bundle", pyarrow.string()),
        ("record", pyarrow.string()),
    ]
)


@ray.remote(num_cpus=1, max_restarts=-1, max_task_retries=-1)
class Reader:
    """A classifier, and the folders that it reads and writes."""

    def __init__(self, archive, out, settings):
        sys.path.insert(0, settings["module"])
        import medforge

        self.medforge = medforge
        if settings["library"]:
            medforge.load(settings["library"])
        self.classifier = medforge.Classifier(settings["bundle"], settings["trust"], now=settings["now"])
        self.archive, self.out, self.task = pathlib.Path(archive), pathlib.Path(out), settings["task"]

    def ready(self):
        return self.classifier.bundles[0]

    def read(self, name, paths):
        """Writes the results of a batch; does nothing where they are there."""
        target = self.out / f"{name}.parquet"
        if not target.exists():
            rows = [self.one(path) for path in paths]
            # Two workers may have the same batch for a moment: each writes a file of its own.
            beside = self.out / f".{name}.{os.getpid()}.part"
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema=SCHEMA), beside)
            with open(beside, "rb+") as file:
                os.fsync(file.fileno())
            os.replace(beside, target)
        return len(paths)

    def one(self, path):
        row = dict.fromkeys(SCHEMA.names) | {"path": path, "bundle": self.classifier.bundles[0]}
        try:
            [found] = self.classifier.classify([(self.archive / path).read_bytes()], task=self.task)
        except (self.medforge.Error, OSError) as error:
            return row | {"error": str(error)}
        top = max(found["classes"], key=lambda one: one["probability"])
        return row | {
            "task": found["task"],
            "class": None if found.get("abstain") else top["name"],
            "probability": top["probability"],
            "record": json.dumps(found, sort_keys=True),
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archive", type=pathlib.Path)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--trust", required=True)
    parser.add_argument("--now", help="the time to check by, UTC; none is looked at otherwise")
    parser.add_argument("--task")
    parser.add_argument("--library", help="libmedforge, in place of where the system looks")
    parser.add_argument("--module", default=str(pathlib.Path(__file__).resolve().parents[2] / "ffi" / "python"))
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--address", help="of a Ray cluster; one on this machine is started otherwise")
    options = parser.parse_args()
    archive, out = options.archive.resolve(), options.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    ray.init(address=options.address, include_dashboard=False, log_to_driver=False)
    absolute = lambda path: path and str(pathlib.Path(path).resolve())
    settings = {
        "bundle": absolute(options.bundle),
        "trust": absolute(options.trust),
        "now": options.now,
        "task": options.task,
        "library": absolute(options.library),
        "module": absolute(options.module),
    }
    readers = [Reader.remote(str(archive), str(out), settings) for _ in range(options.workers)]
    bundle, *others = ray.get([reader.ready.remote() for reader in readers])
    assert all(other == bundle for other in others)
    belongs(out, bundle)
    waiting = batches(archive, options.batch)
    done, total = 0, sum(len(paths) for _, paths in waiting)
    # Two batches a worker: one to work on, one to go on with.
    idle, running = [reader for reader in readers for _ in range(2)], {}
    while waiting or running:
        while waiting and idle:
            reader, batch = idle.pop(), waiting.pop()
            running[reader.read.remote(*batch)] = reader
        [finished], _ = ray.wait(list(running), num_returns=1)
        done += ray.get(finished)
        idle.append(running.pop(finished))
        print(f"\r{done} of {total} images", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    for part in out.glob(".*.part"):
        part.unlink()
    table = pyarrow.parquet.read_table(out, columns=["path", "class", "error"])
    failed = table.num_rows - table.column("error").null_count
    print(f"{table.num_rows} images read by bundle {bundle}, {failed} of them could not be")


def batches(archive, size):
    """Names and paths: the same for the same archive, so that a stopped run knows what it has."""
    paths = sorted(
        str(path.relative_to(archive))
        for path in archive.rglob("*")
        if path.is_file() and path.suffix.lower() in ENDINGS
    )
    parts = [paths[start : start + size] for start in range(0, len(paths), size)]
    return [(hashlib.sha256("\n".join(part).encode()).hexdigest()[:32], part) for part in parts][::-1]


def belongs(out, bundle):
    """The results' folder is of one bundle."""
    mark = out / "_bundle"
    if mark.exists() and mark.read_text() != bundle:
        raise SystemExit(f"{out} has results of bundle {mark.read_text()}; give another --out")
    mark.write_text(bundle)


if __name__ == "__main__":
    main()
