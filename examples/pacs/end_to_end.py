"""The node between storescu and Orthanc: images in, modules swapped every second, the node killed twice, every image answered exactly once.

  python3 examples/pacs/end_to_end.py --images 200          # builds the node, needs Debian's orthanc and dcmtk (dicom3tools too, for dciodvfy)

Makes a base, two bundles and DICOM files of noise in a scratch folder, starts Orthanc and the node on loopback, sends, swaps, kills, waits; then reads every
report back out of Orthanc and checks it with dsrdump, dciodvfy, and pydicom and highdicom where they are installed. --speed sends without swaps
and kills and compares images an hour with the runtime alone.
"""
import argparse
import collections
import json
import pathlib
import subprocess
import tempfile
import time
import urllib.request

from harness import Node, built, bundles_of, cpu, dicom_files, free_ports, read_back, start_orthanc, store, valid, wait


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--base", help="a Hugging Face folder in place of random weights")
    parser.add_argument("--programs", default=None, help="where packer and medforge-pacs-node are, in place of building them")
    options = parser.parse_args()
    programs = pathlib.Path(options.programs).resolve() if options.programs else built()
    with tempfile.TemporaryDirectory() as place:
        place = pathlib.Path(place)
        key, bundles = bundles_of(programs, place, options.base)
        images = dicom_files(place / "images", options.images)
        ports = free_ports(3)
        orthanc = start_orthanc(place, *ports[:2])
        node = Node(programs, place, key, bundles[0], ports[2], ports[1])
        try:
            node.start()
            if options.speed:
                speed(place, node, orthanc, images, programs, key, bundles[0])
            else:
                storm(place, node, images, bundles)
            check(place, f"http://127.0.0.1:{ports[0]}", images, node, bundles)
        finally:
            node.stop()
            orthanc.terminate()
            orthanc.wait()


def storm(place, node, images, bundles):
    waiting, last, swaps, kills = list(images.values()), time.monotonic(), 0, 0
    sent = 0
    while waiting or len(node.done()) < len(images):
        if time.monotonic() - last > 1:
            swaps += 1
            node.swap(bundles[swaps % 2])
            last = time.monotonic()
        if waiting:
            batch = waiting[:10]
            answered = store(node, batch)
            sent += len(answered)
            waiting = waiting[len(answered):]
        if kills < 2 and sent > len(images) * (kills + 1) / 3:
            kills += 1
            node.kill()
            node.start()
        time.sleep(0.05)
    assert kills == 2, kills
    print(f"{sent} images were taken, with {swaps} swaps and {kills} kills")
    # An image that comes again makes no second result.
    store(node, list(images.values())[:5])
    time.sleep(1)


def speed(place, node, orthanc, images, programs, key, bundle):
    paths = list(images.values())
    start = time.monotonic()
    assert len(store(node, paths)) == len(paths)
    wait(lambda: len(node.done()) >= len(images), 3600, "the last result")
    whole = (time.monotonic() - start) / len(paths)
    busy = {name: cpu(pid) for name, pid in (("node", node.process.pid), ("Orthanc", orthanc.pid))}
    pictures = [place / f"{number}.png" for number in range(len(paths))]
    for path, picture in zip(paths, pictures):
        subprocess.run(["dcmj2pnm", "--write-png", path, picture], check=True, capture_output=True)
    runs = []
    for _ in range(3):
        start = time.monotonic()
        subprocess.run([programs / "packer", "classify", bundle, "--trust", key, "--now", "unknown", *pictures, "--threads", "2"], check=True, capture_output=True)
        runs.append(time.monotonic() - start)
    one = time.monotonic()
    subprocess.run([programs / "packer", "classify", bundle, "--trust", key, "--now", "unknown", pictures[0]], check=True, capture_output=True)
    bare = (sorted(runs)[1] - (time.monotonic() - one)) / (len(paths) - 1)
    print("; ".join(f"{name} {1e3 * seconds / len(paths):.0f} ms of processor time an image" for name, seconds in busy.items()))
    print(f"through the PACS {1 / whole:.1f} images/s, the runtime alone {1 / bare:.1f} images/s: {bare / whole:.2f}")


def check(place, orthanc, images, node, bundles):
    get = lambda path: urllib.request.urlopen(orthanc + path).read()
    assert node.done() == set(images), f"{len(set(images) - node.done())} are missing"
    assert not list((place / "queue" / "accepted").iterdir()) and not list((place / "queue" / "failed").iterdir())
    lines = [json.loads(path.read_text()) for path in (place / "queue" / "done").glob("*.json")]
    captures, reports = 0, collections.Counter()
    used = collections.Counter(line["bundle"] for line in lines)
    folder = place / "back"
    folder.mkdir()
    for number, identifier in enumerate(json.loads(get("/instances"))):
        tags = json.loads(get(f"/instances/{identifier}/simplified-tags"))
        path = folder / f"{number}.dcm"
        path.write_bytes(get(f"/instances/{identifier}/file"))
        if tags["SOPClassUID"] == "1.2.840.10008.5.1.4.1.1.88.34":
            image = tags["CurrentRequestedProcedureEvidenceSequence"][0]["ReferencedSeriesSequence"][0]["ReferencedSOPSequence"][0]["ReferencedSOPInstanceUID"]
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
