"""The node between storescu and Orthanc: images in, modules swapped every second and oftener, the node killed twice,
every image answered exactly once.

  python3 examples/pacs/end_to_end.py --images 200

It builds the node, and needs Debian's orthanc and dcmtk (dicom3tools too, for dciodvfy).

Makes a base, two bundles and DICOM files of noise in a scratch folder, starts Orthanc and the node on
loopback, sends, swaps, kills, waits; then reads every report back out of Orthanc and checks it with dsrdump,
dciodvfy, and pydicom and highdicom where they are installed. --speed sends without swaps and kills and
compares images a second with the runtime alone.
"""

import argparse
import collections
import contextlib
import json
import pathlib
import statistics
import subprocess
import tempfile
import time
import urllib.request

from harness import (
    Node,
    built,
    bundles_of,
    cpu,
    dicom_files,
    free_ports,
    read_back,
    start_orthanc,
    store,
    valid,
    wait,
)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--speed", action="store_true")
    parser.add_argument(
        "--turns", type=int, default=1, help="with --speed: PACS and runtime alone, one after the other, so often"
    )
    parser.add_argument("--base", help="a Hugging Face folder in place of random weights")
    parser.add_argument(
        "--programs", default=None, help="where packer and medforge-pacs-node are, in place of building them"
    )
    options = parser.parse_args()
    programs = pathlib.Path(options.programs).resolve() if options.programs else built()
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        key, bundles = bundles_of(programs, place, options.base)
        images = dicom_files(place / "images", options.images)
        if options.speed:
            return speed(place, images, programs, key, bundles, options.turns)
        with pacs(place / "pacs", programs, key, bundles[0]) as (node, _, archive):
            storm(node, images, bundles)
            check(place / "back", archive, images, node)


@contextlib.contextmanager
def pacs(place, programs, key, bundle):
    """An empty Orthanc, and a node with an empty queue that sends to it: the node, Orthanc's process, and its
    address."""
    place.mkdir()
    ports = free_ports(3)
    orthanc = start_orthanc(place, *ports[:2])
    node = Node(programs, place, key, bundle, ports[2], ports[1])
    try:
        node.start()
        yield node, orthanc, f"http://127.0.0.1:{ports[0]}"
    finally:
        node.stop()
        orthanc.terminate()
        orthanc.wait()


def storm(node, images, bundles):
    waiting, last, swaps, kills = list(images.values()), time.monotonic(), 0, 0
    sent = 0
    while waiting or len(node.done()) < len(images):
        # A fast machine has sent all within a second.
        if time.monotonic() - last > 1 or sent > len(images) * (swaps + 1) / 4:
            swaps += 1
            node.swap(bundles[swaps % 2])
            last = time.monotonic()
        if waiting:
            batch = waiting[:10]
            answered = store(node, batch)
            sent += len(answered)
            waiting = waiting[len(answered) :]
        if kills < 2 and sent > len(images) * (kills + 1) / 3:
            kills += 1
            node.kill()
            node.start()
        time.sleep(0.05)
    assert kills == 2 and swaps >= 3, (kills, swaps)
    print(f"{sent} images were taken, with {swaps} swaps and {kills} kills")
    # An image that comes again makes no second result.
    store(node, list(images.values())[:5])
    time.sleep(1)
    wait(lambda: not node.waiting(), 300, "the end of the queue")


def speed(place, images, programs, key, bundles, turns):
    """Images a second through an empty PACS and with the runtime alone, in turns; what came back is checked once."""
    pictures = [place / f"{number}.png" for number in range(len(images))]
    for path, picture in zip(images.values(), pictures):
        subprocess.run(["dcmj2pnm", "--write-png", path, picture], check=True, capture_output=True)
    rows = []
    for turn in range(turns):
        with pacs(place / f"pacs{turn}", programs, key, bundles[0]) as (node, orthanc, archive):
            before = {name: cpu(pid) for name, pid in (("node", node.process.pid), ("Orthanc", orthanc.pid))}
            start = time.monotonic()
            assert len(store(node, list(images.values()))) == len(images)
            wait(lambda: len(node.done()) >= len(images), 3600, "the last result")
            whole = (time.monotonic() - start) / len(images)
            busy = {
                name: (cpu(pid) - before[name]) / len(images)
                for name, pid in (("node", node.process.pid), ("Orthanc", orthanc.pid))
            }
            if turn == 0:
                wait(lambda: not node.waiting(), 300, "the end of the queue")
                check(place / "back", archive, images, node)
        # All pictures less the first, so that loading the bundle counts in neither.
        bare = (alone(programs, bundles[0], key, pictures) - alone(programs, bundles[0], key, pictures[:1])) / (
            len(pictures) - 1
        )
        rows.append((1 / whole, 1 / bare, bare / whole))
        print(
            f"through the PACS {1 / whole:.2f} images/s, the runtime alone {1 / bare:.2f} images/s: "
            f"{bare / whole:.3f}; "
            + ", ".join(
                f"{name} {1e3 * seconds:.1f} ms of processor time an image" for name, seconds in busy.items()
            ),
            flush=True,
        )
    names = ("through the PACS, images/s", "the runtime alone, images/s", "ratio")
    for name, values in zip(names, zip(*rows)):
        print(f"{name}: median {statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f}) of {turns}")


def alone(programs, bundle, key, pictures):
    """Seconds that packer takes to load the bundle and classify the pictures, two at the same time."""
    command = [
        programs / "packer",
        "classify",
        bundle,
        "--trust",
        key,
        "--now",
        "unknown",
        *pictures,
        "--threads",
        "2",
    ]
    start = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    return time.monotonic() - start


def check(folder, orthanc, images, node):
    """Every image is done, and its results came into Orthanc once, as peers can read."""
    get = lambda path: urllib.request.urlopen(orthanc + path).read()
    assert node.done() == set(images), f"{len(set(images) - node.done())} are missing"
    assert not list((node.queue / "accepted").iterdir()) and not list((node.queue / "failed").iterdir())
    lines = [json.loads(path.read_text()) for path in (node.queue / "done").glob("*.json")]
    captures, reports = 0, collections.Counter()
    used = collections.Counter(line["bundle"] for line in lines)
    folder.mkdir()
    for number, identifier in enumerate(json.loads(get("/instances"))):
        tags = json.loads(get(f"/instances/{identifier}/simplified-tags"))
        path = folder / f"{number}.dcm"
        path.write_bytes(get(f"/instances/{identifier}/file"))
        if tags["SOPClassUID"] == "1.2.840.10008.5.1.4.1.1.88.34":
            image = tags["CurrentRequestedProcedureEvidenceSequence"][0]["ReferencedSeriesSequence"][0][
                "ReferencedSOPSequence"
            ][0]["ReferencedSOPInstanceUID"]
            reports[image] += 1
            line = next(line for line in lines if line["image"] == image)
            read_back(path, line)
        elif tags.get("ManufacturerModelName") == "MedForge":
            captures += 1
            valid(path)
    assert reports == collections.Counter(images.keys()), "each image has one report"
    assert captures == len(images), captures
    print(f"{len(reports)} reports and {captures} captures came back, of bundles {dict(used)}; every report was read")


if __name__ == "__main__":
    main()
