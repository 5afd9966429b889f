"""Images stored in Orthanc with the plugin: every one gets one report, also while bundles are swapped.

python3 examples/pacs/orthanc/end_to_end.py --images 40

It needs Debian's orthanc, orthanc-python and dcmtk, and dicom3tools for dciodvfy.
"""

import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
import harness  # noqa: E402

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--images", type=int, default=40)
parser.add_argument("--programs", default=None)
options = parser.parse_args()
programs = pathlib.Path(options.programs).resolve() if options.programs else harness.built()
with tempfile.TemporaryDirectory() as place:
    place = pathlib.Path(place)
    key, bundles = harness.bundles_of(programs, place, None)
    images = harness.dicom_files(place / "images", options.images)
    http, dicom = harness.free_ports(2)
    settings = {
        "Library": str(programs / "libmedforge.so"),
        "Module": str(harness.ROOT / "ffi" / "python"),
        "Bundle": str(bundles[0]),
        "Trust": str(key),
        "Task": None,
        "Audit": str(place / "audit.jsonl"),
    }
    orthanc = harness.start_orthanc(
        place,
        http,
        dicom,
        {
            "Plugins": ["/usr/share/orthanc/plugins/libOrthancPython.so"],
            "PythonScript": str(HERE / "plugin.py"),
            "MedForge": settings,
        },
    )
    try:
        api = f"http://127.0.0.1:{http}"
        get = lambda path: urllib.request.urlopen(api + path).read()
        # A line that is being written has no end yet.
        whole = lambda text: text[: text.rfind("\n") + 1].splitlines()
        lines = lambda: (
            [json.loads(line) for line in whole((place / "audit.jsonl").read_text())]
            if (place / "audit.jsonl").exists()
            else []
        )
        paths = list(images.values())
        for start in range(0, len(paths), 10):
            subprocess.run(
                ["storescu", "-aec", "ORTHANC", "127.0.0.1", str(dicom)] + paths[start : start + 10], check=True
            )
            body = json.dumps({"Bundle": str(bundles[start // 10 % 2])}).encode()
            urllib.request.urlopen(urllib.request.Request(api + "/medforge/bundle", body, method="POST")).read()
        try:
            harness.wait(lambda: len(lines()) == len(images), 600, "the last report")
        except SystemExit:
            print((place / "orthanc.log").read_text()[-3000:])
            raise
        assert len(json.loads(get("/medforge"))["tasks"]) == 1
        bad = urllib.request.Request(
            api + "/medforge/bundle", json.dumps({"Bundle": str(key)}).encode(), method="POST"
        )
        try:
            urllib.request.urlopen(bad)
            raise AssertionError("a key was taken for a bundle")
        except urllib.error.HTTPError as error:
            assert error.code == 409, error
        reports = collections.Counter()
        (place / "back").mkdir()
        for number, identifier in enumerate(json.loads(get("/instances"))):
            tags = json.loads(get(f"/instances/{identifier}/simplified-tags"))
            if tags["SOPClassUID"] == "1.2.840.10008.5.1.4.1.1.88.34":
                path = place / "back" / f"{number}.dcm"
                path.write_bytes(get(f"/instances/{identifier}/file"))
                image = tags["CurrentRequestedProcedureEvidenceSequence"][0]["ReferencedSeriesSequence"][0][
                    "ReferencedSOPSequence"
                ][0]["ReferencedSOPInstanceUID"]
                reports[image] += 1
                harness.read_back(path, next(line for line in lines() if line["image"] == image))
        assert reports == collections.Counter(images.keys()), reports
        print(
            f"{len(reports)} reports, of bundles "
            f"{dict(collections.Counter(line['bundle'] for line in lines()))}; every report was read"
        )
    finally:
        orthanc.terminate()
        orthanc.wait()
