"""A local Ray cluster of two workers of which one is killed half-way: every image is read exactly once, and a
second run has nothing to do.

python3 examples/archive/end_to_end.py --images 300         # needs ray and pyarrow in this Python
"""

import argparse
import collections
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "pacs"))
import harness  # noqa: E402

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--images", type=int, default=300)
parser.add_argument("--programs", default=None)
options = parser.parse_args()
programs = pathlib.Path(options.programs).resolve() if options.programs else harness.built()


def actors():
    found = subprocess.run(["pgrep", "-f", "ray::Reader"], capture_output=True, text=True)
    return [int(pid) for pid in found.stdout.split()]


def killed_half_way(command, out):
    """What a run says that lost one of its two actors' processes half-way; none if it was over before."""
    harness.wait(lambda: not actors(), 300, "the end of the run before")
    run = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    while run.poll() is None and len(list(out.glob("*.parquet"))) < options.images / 4 / 2:
        time.sleep(0.01)
    readers = actors()
    lost = len(readers) == 2 and run.poll() is None
    if lost:
        try:
            os.kill(readers[0], signal.SIGKILL)
        except ProcessLookupError:
            lost = False
    said, _ = run.communicate(timeout=900)
    assert run.returncode == 0, said
    return said.strip() if lost else None


with tempfile.TemporaryDirectory() as place:
    place = pathlib.Path(place)
    key, bundles = harness.bundles_of(programs, place, None)
    archive, out = place / "archive", place / "results"
    subprocess.run(
        [programs / "packer", "phantom", "--out", archive, "--images", str(options.images)],
        check=True,
        capture_output=True,
    )
    (archive / "broken.png").write_bytes(b"no picture")
    command = [
        sys.executable,
        HERE / "reread.py",
        archive,
        "--out",
        out,
        "--bundle",
        bundles[0],
        "--trust",
        key,
        "--library",
        programs / "libmedforge.so",
        "--workers",
        "2",
        "--batch",
        "4",
    ]
    # On a busy machine a run may be over before it can be disturbed: then another one begins.
    for _ in range(5):
        shutil.rmtree(out, ignore_errors=True)
        if said := killed_half_way(command, out):
            break
    assert said, "each run ended before one of two actors could be killed"
    print(said)
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(out).to_pylist()
    paths = collections.Counter(row["path"] for row in table)
    expected = {str(path.relative_to(archive)) for path in archive.rglob("*.png")}
    assert set(paths) == expected and set(paths.values()) == {1}, "each image once"
    [broken] = [row for row in table if row["error"]]
    assert broken["path"] == "broken.png" and broken["error"].startswith("IMAGE"), broken
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.parquet")}
    subprocess.run(command, check=True, capture_output=True)
    assert before == {path: path.stat().st_mtime_ns for path in out.glob("*.parquet")}, "a second run wrote something"
    other = subprocess.run(
        [str(bundles[1]) if part == bundles[0] else part for part in command], capture_output=True, text=True
    )
    assert other.returncode != 0 and "give another --out" in other.stderr, other.stderr
    print(f"{len(paths)} images, each once, with one of two workers killed; nothing was left for a second run")
