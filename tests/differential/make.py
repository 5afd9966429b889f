"""Makes files that peers read too, and what is right of each, for tests/differential.rs.

  apt-get install dcmtk libgdcm-tools libjpeg-turbo-progs
  python3 -m venv v && v/bin/pip install numpy==2.4.6 pillow==13.0.0 pydicom==3.0.1 pylibjpeg==2.1.0 \\
      pylibjpeg-libjpeg==2.5.0 pylibjpeg-openjpeg==2.6.0
  v/bin/python tests/differential/make.py FOLDER
  MEDFORGE_DIFFERENTIAL=FOLDER cargo test --release --workspace --test differential

Of a DICOM file the stored values are right that two of pydicom with pylibjpeg, dcmtk and GDCM
decode alike (each of them is wrong somewhere), and what is shown of them follows from PS3.3
(shown.py); windows and tables are held against dcmtk's dcm2pnm too. Where a file was made of known
values without loss, the two must have found those; where no two agree, one and what was made. Of
JPEG and PNG files Pillow says what is right.

FOLDER/expected.json: of each file or frame its kind, size, how many levels it may differ by, and
either the name of a file of RGB pixels or the reason why it is to be refused, or why nobody knows
what is right.
"""

import concurrent.futures
import json
import pathlib
import sys
import tempfile

import numpy as np

import codings
import frames
import headers
import meaning
import peers
import pictures
import pixels
import shown

PARTS = (pixels, codings, meaning, frames, headers)
# Levels by which two decoders of one JPEG may differ, gray: each rounds its cosine transform within
# one (T.83).
LOSSY = 1
# Of colours: a level of luminance, 1.772 of chroma and the rounding of both.
LOSSY_COLOUR = 3


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    cases = [one for part in PARTS for one in part.every()]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda pair: dicom(folder, *pair), enumerate(cases)))
    entries = [entry for entries, _ in found for entry in entries]
    faults = [fault for _, faults in found for fault in faults]
    entries += pictures.every(folder)
    (folder / "expected.json").write_text("[\n" + ",\n".join(map(json.dumps, entries)) + "\n]\n")
    alone = [entry["file"] for entry in entries if "alone" in entry.get("peers", "")]
    print(f"read by one peer alone: {', '.join(alone)}")
    undecided = [entry for entry in entries if "undecided" in entry]
    for entry in undecided:
        print(f"undecided: {entry['file']}: {entry['undecided']}")
    print(f"{len(cases)} DICOM files, {len(entries)} entries, {len(undecided)} undecided")
    if faults:
        sys.exit("\n".join(["peers or formulas contradict what was made:", *faults]))


def dicom(folder, number, case):
    """Entries of a file's frames, and what contradicts itself."""
    name = f"{number:03}-{case.kind}-{case.detail}.dcm"
    path = folder / name
    path.write_bytes(case.file)
    if case.refuse:
        return [{"file": name, "kind": case.kind, "refuse": case.refuse}], []
    if case.right is not None:
        frame = {"file": name, "kind": case.kind, "frame": 0, "peers": "Pillow, by the JPEG's marks"}
        tolerance = 1 + LOSSY_COLOUR
        return [frame | picture(folder, f"{name}.0.rgb", case.right, tolerance)], []
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        by_peer = peers.every(path, scratch, case.frames[0][1], len(case.frames), case.lossy)
        entries, faults = [], []
        for index, (made, look) in enumerate(case.frames):
            frame = {"file": name, "kind": case.kind, "frame": index}
            values, agreement = agreed(by_peer, index, made, case.lossy)
            frame["peers"] = agreement
            if values is None:
                entries.append(frame | {"undecided": agreement})
                continue
            if made is not None and not case.lossy and not np.array_equal(values, made):
                faults.append(
                    f"{name}: frame {index}: {agreement} found other values than were made"
                )
            colour = case.lossy and values.ndim == 3
            rgb = values.astype("u1") if colour else shown.rgb(look, values)
            faults += windowed(path, scratch, look, rgb, index, case)
            tolerance = (LOSSY_COLOUR if colour else LOSSY) if case.lossy else 0
            entries.append(frame | picture(folder, f"{name}.{index}.rgb", rgb, 1 + tolerance))
    return entries, faults


def agreed(by_peer, index, made, lossy):
    """What two peers decode alike, or one as it was made, and which; or none, and what each
    says."""
    within = 3 if lossy else 0
    arrays = {
        name: frames[index] for name, frames in by_peer.items() if not isinstance(frames, str)
    }
    names = sorted(arrays)
    for one, other in ((a, b) for a in names for b in names if a < b):
        difference = peers.difference(arrays[one], arrays[other])
        if difference is not None and difference <= within:
            return arrays[one], f"{one} and {other}"
    for one in names if made is not None else []:
        if np.array_equal(arrays[one], made):
            return made, f"{one} alone"
    said = {
        name: frames if isinstance(frames, str) else "differs" for name, frames in by_peer.items()
    }
    return None, "; ".join(f"{name}: {what}" for name, what in said.items())


def windowed(path, scratch, look, rgb, index, case):
    """dcmtk's own rendering, of what it and the formulas both define: the first frame of gray with
    a window or a table."""
    plain = look.padding is None and index == 0 and look.photometric.startswith("MONOCHROME")
    if not plain or case.kind in NOT_DCMTK or look.function == "LINEAR_EXACT":
        return []
    choice = (
        ["+Wl", "1"]
        if look.voi_table is not None
        else ["+Wi", "1"] if look.window is not None else None
    )
    seen = choice and peers.dcm2pnm(path, scratch, choice)
    if seen is None or seen.shape != rgb.shape[:2]:
        return []
    most = int(np.abs(seen.astype(int) - rgb[..., 0]).max())
    return [] if most <= 1 + case.lossy else [f"{path.name}: dcm2pnm differs by {most} levels"]


# What dcmtk's renderer takes otherwise: windows of less than 1 for none, VR UN for absent, a comma
# for an end, 16 bits of a table at their word.
NOT_DCMTK = ("window_narrow", "vr_un", "decimal_comma", "voi_table_12_in_16")


def picture(folder, name, rgb, tolerance):
    (folder / name).write_bytes(rgb.astype("u1").tobytes())
    height, width = rgb.shape[:2]
    return {"width": width, "height": height, "rgb": name, "tolerance": tolerance}


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
